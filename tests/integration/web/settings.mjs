// Parameters, the link, the key; and what is said when something goes wrong.

import assert from 'node:assert/strict';

import {STORY, ask, button, chatBodies, check, events, field, finished, fulfilChat, piece,
        stored} from './support.mjs';

check('the address holds the settings, and a link brings them back', async (page, context) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const bodies = chatBodies(page);
  await page.getByLabel('Temperature').fill('0.3');
  await page.getByLabel('Top k').fill('7');
  await page.getByLabel('Longest answer').fill('64');
  await page.getByLabel('System prompt').fill('Be brief & kind = yes #1');
  await page.getByLabel('Seed', {exact: true}).fill('123');
  await page.getByLabel('API key').fill('secret-word');
  await ask(page, STORY);
  assert.equal(bodies[0].temperature, 0.3);
  assert.equal(bodies[0].seed, 123);
  assert.deepEqual(bodies[0].messages[0], {role: 'system', content: 'Be brief & kind = yes #1'});
  const hash = new URL(page.url()).hash;
  assert.deepEqual(Object.fromEntries(new URLSearchParams(hash.slice(1))),
      {temperature: '0.3', top_k: '7', max_tokens: '64', seed: '123', system: 'Be brief & kind = yes #1'});
  await button(page, 'Share a link to these settings and this seed').click();
  await page.getByText('Copied', {exact: true}).waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const everything = link + await page.evaluate(() => JSON.stringify(localStorage));
  assert.ok(!everything.includes('secret-word'));
  const other = await context.newPage();
  await other.goto(link);
  assert.equal(await field(other).inputValue(), STORY);
  assert.equal(await other.getByLabel('Temperature').inputValue(), '0.3');
  const again = chatBodies(other);
  await other.evaluate(() => localStorage.clear());
  await other.reload();
  await field(other).fill(STORY);
  await field(other).press('Enter');
  await finished(other);
  assert.deepEqual({...again[0], model: ''}, {...bodies[0], model: ''});
  await button(other, 'Reset').click();
  assert.equal(new URL(other.url()).hash, '');
  await other.close();
});

check('what a field or a link holds wrongly is not used', async (page) => {
  const bodies = chatBodies(page);
  assert.equal(await page.getByLabel('Temperature').inputValue(), '0.8');
  await page.getByLabel('Top p').fill('1.5');
  assert.equal(await page.getByLabel('Top p').getAttribute('aria-invalid'), 'true');
  await page.getByText('A number from 0 to 1', {exact: true}).waitFor();
  await page.getByLabel('Seed', {exact: true}).fill('-1');
  assert.equal(await page.getByLabel('Seed', {exact: true}).getAttribute('aria-invalid'), 'true');
  await ask(page, STORY);
  assert.equal(bodies[0].temperature, 0.8);
  assert.equal(bodies[0].top_k, 40);
  assert.equal(bodies[0].top_p, 0.95);
  await page.getByLabel('Top p').fill('0.5');
  assert.equal(await page.getByLabel('Top p').getAttribute('aria-invalid'), null);
}, {hash: '#temperature=hot&top_k=1.5&seed=-3'});

check('a key is asked for, used and forgotten with the tab', async (page) => {
  await ask(page, STORY);
  assert.match(await page.getByRole('alert').textContent(), /API key/);
  await page.getByLabel('API key').fill(process.env.WEB_KEY);
  await button(page, 'Regenerate answer').click();
  await finished(page);
  assert.ok((await stored(page))[1].content.length > 20);
  assert.equal(await page.getByRole('alert').count(), 0);
  await page.reload();
  assert.equal(await page.getByLabel('API key').inputValue(), process.env.WEB_KEY);
}, {url: process.env.WEB_KEY_URL, errors: /401/});


for (const [name, response, said] of [
  ['busy', {status: 429, headers: {'Retry-After': '3'}, json: {error: {message: 'The queue is full.'}}},
   /busy.*in 3 s.*queue is full/],
  ['loading', {status: 503, json: {error: {message: 'Loading.'}}}, /loading or shutting down/],
  ['too long', {status: 400, json: {error: {message: 'The prompt has 9000 tokens.'}}}, /9000 tokens/],
  ['no JSON', {status: 502, body: '<h1>Bad gateway</h1>'}, /status 502/],
  ['an error in the stream', events(piece('Once'), {error: {message: 'The device is gone.'}}), /device is gone/],
  ['a stream that ends early', events(piece('Once')), /ended before/],
  ['no stream', {contentType: 'text/event-stream', body: 'data: {"choices": [\n\n'}, /not JSON/],
]) {
  check(`error: ${name}`, async (page) => {
    await fulfilChat(page, response);
    await ask(page, STORY);
    assert.match(await page.getByRole('alert').textContent(), said);
    await page.unroute('**/v1/chat/completions');
    await button(page, 'Regenerate answer').click();
    await finished(page);
    assert.equal(await page.getByRole('alert').count(), 0);
  }, {errors: /Failed to load resource/});
}

check('error: no server', async (page) => {
  await page.route('**/v1/chat/completions', (route) => route.abort());
  await ask(page, STORY);
  assert.match(await page.getByRole('alert').textContent(), /cannot be reached/);
}, {errors: /Failed to load resource/});
