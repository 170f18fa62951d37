// The dashboard: numbers, plots, faults.

import assert from 'node:assert/strict';

import {STORY, ask, button, check, finished, metricsText, scripted} from './support.mjs';

check('the arithmetic of the dashboard', async (page) => {
  const samples = await page.evaluate(async ([a, b]) => {
    const {snapshot, sampleOf} = await import(new URL('web/metrics.js', location.href));
    const {ticksTo, statistics} = await import(new URL('web/plot.js', location.href));
    const one = snapshot(a, 1000);
    return [one, sampleOf(null, one).values.generated, sampleOf(one, snapshot(b, 3000)).values,
            sampleOf(snapshot(b, 1000), snapshot(a, 2000)).values.generated, sampleOf(one, snapshot(b, 9000)).values.generated,
            ticksTo(1, false), ticksTo(4, true), ticksTo(37, true), statistics([null, 4, 1, 1]), statistics([null])];
  }, [metricsText(1), metricsText(3)]);
  assert.deepEqual(samples[0], {
    time: 1000, generated: 500, prompt: null, running: 3, waiting: 2, rows: 5, blocks: 200, used: 50, cached: 20,
    ttft: [0.125, 0.25, 0.375], between: [0.02, 0.04, 0.06],
    results: [{result: 'ok', count: 12}, {result: 'can"celled', count: 1}], alerts: [], tolerance: 0.05,
  });
  assert.deepEqual(samples.slice(1), [
    [null], {generated: [500], prompt: [null], requests: [3, 2], rows: [5], cache: [0.25, 0.1],
             ttft: [0.125, 0.25, 0.375], between: [0.02, 0.04, 0.06]},
    [null], [null], [0, 0.25, 0.5, 0.75, 1], [0, 1, 2, 3, 4], [0, 10, 20, 30, 40], {lowest: 1, mean: 2, highest: 4}, null,
  ]);
});

check('the dashboard shows what the server says', async (page) => {
  await scripted(page);
  const tile = (label) => page.locator('.tile', {hasText: label}).locator('dd').allTextContents();
  assert.deepEqual(await tile('Requests running'), ['3', '2 waiting']);
  assert.deepEqual(await tile('KV cache in use'), ['25%', '50 of 200 blocks']);
  assert.deepEqual(await tile('First token'), ['125 ms', 'median; 99%: 375 ms']);
  assert.deepEqual(await tile('Requests finished'), ['13', '12 ok, 1 can"celled']);
  assert.match(await page.getByRole('img', {name: /^Time to first token/}).getAttribute('aria-label'),
      /the last 2 minutes. median: now 125 ms, lowest 125 ms, highest 125 ms. 95%: now 250 ms/);
  assert.equal(await page.getByRole('img', {name: /^KV cache/}).locator('.tick text').last().textContent(), '100%');
  await page.getByText('All values as a table').click();
  const row = page.getByRole('row', {name: /^Requests, waiting/});
  assert.deepEqual(await row.getByRole('cell').allTextContents(), ['2', '2', '2', '2']);
  const cursor = page.getByRole('slider', {name: 'Requests: time'});
  await cursor.focus();
  await page.keyboard.press('ArrowLeft');
  assert.match(await cursor.getAttribute('aria-valuetext'), /^\d\d:\d\d:\d\d: running 3, waiting 2$/);
  assert.match(await page.locator('.plot', {hasText: 'Batch rows'}).locator('.lines path.line').getAttribute('d'), /^M/);
  await button(page, 'Pause').click();
  assert.equal(await button(page, 'Pause').getAttribute('aria-pressed'), 'true');
});

check('what is slower than usual is said, until it is over', async (page) => {
  let slow = false;
  await page.route('**/metrics', (route) => route.fulfill({contentType: 'text/plain', body: metricsText(1, slow)}));
  await page.getByRole('tab', {name: 'Dashboard'}).click();
  await page.getByText('as of').waitFor();
  assert.equal(await page.getByRole('alert').isVisible(), false);
  slow = true;
  await page.getByRole('alert').filter({hasText: 'Writing answers is slower than usual'}).waitFor();
  assert.equal(await page.locator('#alert-more').textContent(), '1.23 times the usual time, 5% more is allowed');
  slow = false;
  await page.locator('#alert').waitFor({state: 'hidden'});
});

check('a server without metrics, or none, is said', async (page) => {
  await page.route('**/metrics', (route) => route.fulfill({status: 404, body: ''}));
  await page.getByRole('tab', {name: 'Dashboard'}).click();
  await page.getByText('This server publishes no /metrics.').waitFor();
  await page.unroute('**/metrics');
  await page.route('**/metrics', (route) => route.abort());
  await page.getByText('The server cannot be reached.').waitFor();
  await page.unroute('**/metrics');
  await page.locator('#dashboard-problem').waitFor({state: 'hidden'});
}, {errors: /Failed to load resource/});

check('a chat is seen in the real metrics', async (page) => {
  await ask(page, STORY);
  await page.getByRole('tab', {name: 'Dashboard'}).click();
  await page.waitForFunction(() => Number.parseFloat(document.querySelector('#tiles .tile:nth-child(7) .value').textContent) > 0);
  assert.equal(await page.locator('#dashboard-problem').isHidden(), true);
});
