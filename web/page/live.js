// SPDX-License-Identifier: Apache-2.0
// Server-sent events of /api/live, read by fetch, because EventSource cannot send a token. The server sends a comment
// at least every 15 seconds; when nothing has come for longer, or the stream ends, it is asked for anew.

import { ApiError, raw } from './api.js';

const SILENCE_MS = 40000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 5000;

// handlers: event(kind, data), up(again), down(). Returns { stop(), now() }.
export function follow(handlers) {
  let stopped = false;
  let controller = null;
  let wake = () => {};
  let retry = FIRST_RETRY_MS;
  let connectedBefore = false;

  const now = () => {
    retry = FIRST_RETRY_MS;
    wake();
  };
  const onVisible = () => document.visibilityState === 'visible' && now();
  window.addEventListener('online', now);
  document.addEventListener('visibilitychange', onVisible);

  async function once() {
    controller = new AbortController();
    let watchdog = setTimeout(() => controller.abort(), SILENCE_MS);
    try {
      const answer = await raw('live', { accept: 'text/event-stream', signal: controller.signal });
      if (!answer.ok) return;
      retry = FIRST_RETRY_MS;
      handlers.up(connectedBefore);
      connectedBefore = true;
      const parser = sseParser(handlers.event);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(watchdog);
        watchdog = setTimeout(() => controller.abort(), SILENCE_MS);
        parser(value);
      }
    } finally {
      clearTimeout(watchdog);
    }
  }

  (async () => {
    while (!stopped) {
      try {
        await once();
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return; // the page shows the login
      }
      if (stopped) return;
      handlers.down();
      await new Promise((resolve) => {
        wake = resolve;
        setTimeout(resolve, retry);
      });
      retry = Math.min(retry * 2, LAST_RETRY_MS);
    }
  })();

  return {
    now,
    stop() {
      stopped = true;
      window.removeEventListener('online', now);
      document.removeEventListener('visibilitychange', onVisible);
      controller?.abort();
      wake();
    },
  };
}

// A function that takes pieces of text as they come.
export function sseParser(tell) {
  let rest = '';
  return (piece) => {
    const blocks = (rest + piece).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      let kind = 'message';
      const data = [];
      for (const line of block.split('\n')) {
        if (line.startsWith('event: ')) kind = line.slice(7);
        else if (line.startsWith('data: ')) data.push(line.slice(6));
      }
      if (data.length > 0) tell(kind, JSON.parse(data.join('\n')));
    }
  };
}
