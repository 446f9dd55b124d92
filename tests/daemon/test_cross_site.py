# SPDX-License-Identifier: Apache-2.0
"""What a page of another site can have a browser send that remembers a password for us."""

from rest import path
from testbed.client import TOKEN

ACTION = {'Content-Type': 'application/xml'}
FORM = {'Content-Type': 'application/x-www-form-urlencoded'}


def own(daemon, scheme='http'):
    return f'{scheme}://127.0.0.1:{daemon.port}'


def refused(answer, status=403):
    assert answer.status == status, answer
    fault = answer.xml if answer.xml.tag == 'fault' else answer.xml.find('fault')
    assert fault.findtext('detail')


def test_a_page_of_another_site_changes_nothing(off, daemon):
    basic = daemon.basic()
    for headers in ({'Origin': 'http://evil.example'}, {'Origin': 'null'}, {'Origin': 'http://127.0.0.1'},
                    {'Origin': ''}, {'Origin': 'http://127.0.0.1:1'}, {'Sec-Fetch-Site': 'cross-site'},
                    {'Sec-Fetch-Site': 'same-site'}, {'Sec-Fetch-Site': ''},
                    {'Sec-Fetch-Site': 'cross-site', 'Origin': own(daemon)}):
        for answer in (basic.request('POST', path(off, '/start'), '<action/>', ACTION | headers),
                       basic.request('POST', path(off, '/start'), '', headers),
                       basic.request('PUT', path(off), '<vm><memory>1</memory></vm>', ACTION | headers),
                       basic.request('POST', path(off, '/memorydevices'), '', headers),
                       basic.request('DELETE', path(off, '/memorydevices/x'), '', headers),
                       daemon.anonymous().request('POST', TOKEN, '', FORM | headers)):
            refused(answer)
        assert basic.get(path(off), headers=headers).status == 200  # it cannot read what comes
    assert off.state() == 'shut off'


def test_a_form_is_no_request(off, daemon):
    """Whatever its media type has behind it, and with an empty body too."""
    basic = daemon.basic()
    for kind in ('application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x/xml',
                 'multipart/form-data; boundary=application/json'):
        for body in ('', '<action/>'):
            refused(basic.request('POST', path(off, '/start'), body, {'Content-Type': kind}), 415)
            refused(basic.request('PUT', path(off), body and '<vm/>', {'Content-Type': kind}), 415)
    assert off.state() == 'shut off'


def test_own_pages_and_programs_do(off, daemon):
    for headers in ({}, {'Origin': own(daemon)}, {'Sec-Fetch-Site': 'same-origin'}, {'Sec-Fetch-Site': 'none'},
                    # Its proxy asks for another Host.
                    {'Sec-Fetch-Site': 'same-origin', 'Origin': 'https://dimmer.example.org'}):
        answer = daemon.client().request('PUT', path(off), '<vm/>', ACTION | headers)
        assert answer.status == 200, (headers, answer)


def test_under_tls(off, serve, authority):
    daemon = serve(tls=authority)
    client = daemon.client()
    refused(client.request('PUT', path(off), '<vm/>', ACTION | {'Origin': own(daemon)}))
    answer = client.request('PUT', path(off), '<vm/>', ACTION | {'Origin': own(daemon, 'https')})
    assert answer.status == 200
    for answer in (answer, client.get('no-such'), daemon.anonymous().get('vms'), daemon.anonymous().get('/health')):
        assert answer.headers['Strict-Transport-Security'] == 'max-age=31536000'


def test_behind_a_proxy(off, serve):
    """One that speaks TLS, and names the host that it was asked for."""
    daemon = serve(trusted_proxies='127.0.0.1')
    client = daemon.client()
    forwarded = {'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'dimmer.example.org', 'X-Forwarded-For': '192.0.2.1'}

    def put(origin):
        return client.request('PUT', path(off), '<vm/>', ACTION | forwarded | {'Origin': origin})
    assert put('https://dimmer.example.org').status == 200
    assert put('https://dimmer.example.org:443').status == 200
    for other in ('http://dimmer.example.org', 'https://dimmer.example.org:8443', own(daemon)):
        refused(put(other))
    assert put('https://dimmer.example.org').headers['Strict-Transport-Security']
    assert client.get('vms').headers['Strict-Transport-Security'] is None
