// SPDX-License-Identifier: Apache-2.0
// Views are functions that return a description of what is to be seen, made by h(). render() changes the document to
// match it and leaves alone what is right already, so that focus, typed text and scrolling survive each live update.

const SVG = 'http://www.w3.org/2000/svg';
const svgTags = new Set(['svg', 'path', 'rect', 'circle', 'line']);
const properties = new Set(['value', 'checked', 'disabled']);

// props: attributes; on...: listeners; style: an object, which is set from script, as the Content-Security-Policy
// forbids it in text; key: which of its siblings it is. A child is a description, text, or nothing (null, false).
export function h(tag, props, ...children) {
  return {
    tag,
    props: props ?? {},
    children: children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  };
}

export function render(container, ...views) {
  patchChildren(container, h('', null, views).children);
}

function patchChildren(parent, wanted) {
  const old = [...parent.childNodes];
  const keyed = new Map(old.filter((node) => node.dmKey !== undefined).map((node) => [node.dmKey, node]));
  const plain = old.filter((node) => node.dmKey === undefined);
  const nodes = wanted.map((view) => {
    const node = take(view, keyed, plain);
    if (!node) return create(view);
    patch(node, view);
    return node;
  });
  const kept = new Set(nodes);
  for (const node of old) if (!kept.has(node)) node.remove();
  nodes.forEach((node, i) => {
    if (parent.childNodes[i] !== node) parent.insertBefore(node, parent.childNodes[i] ?? null);
  });
}

function take(view, keyed, plain) {
  const key = view.props?.key;
  if (key !== undefined) {
    const node = keyed.get(key);
    keyed.delete(key);
    return node && node.dmTag === view.tag ? node : null;
  }
  const at = plain.findIndex((node) => (view.tag ? node.dmTag === view.tag : node.nodeType === Node.TEXT_NODE));
  if (at < 0) return null;
  return plain.splice(0, at + 1).pop();
}

function create(view) {
  if (!view.tag) return document.createTextNode(String(view));
  const node = svgTags.has(view.tag) ? document.createElementNS(SVG, view.tag) : document.createElement(view.tag);
  node.dmTag = view.tag;
  node.dmProps = {};
  if (view.props.key !== undefined) node.dmKey = view.props.key;
  patch(node, view);
  return node;
}

function patch(node, view) {
  if (!view.tag) {
    if (node.data !== String(view)) node.data = String(view);
    return;
  }
  patchChildren(node, view.children);
  const before = node.dmProps;
  for (const name of Object.keys(before)) if (!(name in view.props)) setProp(node, name, undefined);
  for (const [name, value] of Object.entries(view.props)) {
    if (properties.has(name) || before[name] !== value) setProp(node, name, value, before[name]);
  }
  node.dmProps = view.props;
}

function setProp(node, name, value, before) {
  if (name === 'key') return;
  if (name === 'style') {
    for (const property of Object.keys(before ?? {}))
      if (!(property in (value ?? {}))) node.style.removeProperty(property);
    for (const [property, text] of Object.entries(value ?? {})) node.style.setProperty(property, text);
  } else if (name.startsWith('on')) {
    node[name] = value ?? null;
  } else if (properties.has(name)) {
    const typed = node.type === 'number' && name === 'value' && Number(node.value) === Number(value); // "" or "1." too
    if (node[name] !== (value ?? '') && !typed) node[name] = value ?? '';
  } else if (value === undefined || value === null || value === false) {
    node.removeAttribute(name);
  } else {
    node.setAttribute(name, value === true ? '' : value);
  }
}
