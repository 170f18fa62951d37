// What the checks of web_page_test.py share; that script sets the environment. Every check gets a page in a context of
// its own; afterwards that page must have asked no other host, thrown nothing and written no error to the console.

import assert from 'node:assert/strict';
import {createRequire} from 'node:module';
import path from 'node:path';
import test, {after, before} from 'node:test';

const env = process.env;
const require = createRequire(path.join(env.WEB_PACKAGES, 'x.js'));
const {chromium} = require('playwright-core');
const axe = require('axe-core').source;

export const URL_OPEN = env.WEB_URL;
export const STORY = 'Tell me a story about a bird.';
export const MARKUP = 'Explain ternary weights.';  // the fake server answers this one in Markdown
export const ENDLESS = 'Count and never stop.';
export const ENDLESS_HASH = '#temperature=5&top_p=1&top_k=0&min_p=0&max_tokens=100000';

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: env.WEB_CHROMIUM, args: process.getuid() === 0 ? ['--no-sandbox'] : [],
  });
});
after(() => browser.close());

/** A check. `errors`: console errors that a failed request of the check causes. */
export function check(name, work, {url = URL_OPEN, hash = '', errors = null, ...options} = {}) {
  test(name, {timeout: 60000}, async () => {
    const context = await browser.newContext({viewport: {width: 1280, height: 820}, locale: 'en-GB', ...options});
    const faults = [];
    context.on('request', (request) => {
      if (!request.url().startsWith(url)) faults.push(`asked for ${request.url()}`);
    });
    const page = await context.newPage();
    page.on('pageerror', (error) => faults.push(`thrown: ${error.stack}`));
    page.on('console', (message) => {
      const fine = errors?.test(message.text());
      if (['error', 'warning'].includes(message.type()) && !fine) faults.push(`console: ${message.text()}`);
    });
    try {
      await page.goto(url + hash);
      await work(page, context);
      assert.deepEqual(faults, []);
    } catch (error) {
      await page.screenshot({path: 'failed.png'});
      throw error;
    } finally {
      await context.close();
    }
  });
}

export const field = (page) => page.getByLabel('Message', {exact: true});
export const answers = (page) => page.locator('article.answer');
export const button = (page, name) => page.getByRole('button', {name, exact: true});

export async function finished(page, count = 1) {
  await page.locator('article.answer:not(.streaming)').nth(count - 1).waitFor();
  await button(page, 'Send').waitFor();
}

export async function ask(page, text, count = 1) {
  await field(page).fill(text);
  await field(page).press('Enter');
  await finished(page, count);
}

export function stored(page) {
  return page.evaluate(() => JSON.parse(localStorage.getItem('tern.conversation'))?.messages ?? []);
}

/** The bodies of the page's chat requests, as they come. */
export function chatBodies(page) {
  const bodies = [];
  page.on('request', (request) => {
    if (request.url().endsWith('/v1/chat/completions')) bodies.push(request.postDataJSON());
  });
  return bodies;
}

/** The same request, read by nobody's page code. */
export async function directAnswer(body) {
  const response = await fetch(`${URL_OPEN}v1/chat/completions`, {method: 'POST', body: JSON.stringify(body)});
  const events = (await response.text()).split('\n\n').filter((event) => event.startsWith('data: {'));
  return events.map((event) => JSON.parse(event.slice(6)).choices[0]?.delta.content ?? '').join('');
}

export function events(...objects) {
  return {contentType: 'text/event-stream', body: objects.map((o) => `data: ${JSON.stringify(o)}\n\n`).join('')};
}

export const piece = (content) => ({choices: [{index: 0, delta: {content}, finish_reason: null}]});
export const END = {choices: [{index: 0, delta: {}, finish_reason: 'stop'}]};

export function fulfilChat(page, response) {
  return page.route('**/v1/chat/completions', (route) => route.fulfill(response));
}

export async function violations(page) {
  await page.evaluate(axe);
  const result = await page.evaluate(() => axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa',
                                                              'best-practice']}));
  return result.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html} ${n.any[0]?.message ?? ''}`));
}

export function metricsText(k, slow = false) {
  const percentiles = (name, value) => ['50', '95', '99'].map((p, i) => `${name}{percentile="${p}"} ${value * (i + 1)}\n`);
  return ['# HELP tern_requests_total x\n', `tern_tokens_generated_total ${500 * k}\n`, 'tern_prompt_tokens_total NaN\n',
          'tern_requests_running 3\n', 'tern_requests_waiting 2\n', 'tern_batch_rows 5\n', 'tern_kv_blocks 200\n',
          'tern_kv_blocks_used 50\n', 'tern_kv_blocks_cached 20 1700000000\n', ...percentiles('tern_ttft_recent_seconds', 0.125),
          ...percentiles('tern_inter_token_recent_seconds', 0.02), 'tern_requests_total{result="ok"} 12\n',
          'tern_requests_total{result="can\\"celled"} 1\n', `tern_slowdown_alert{operation="decode"} ${slow ? 1 : 0}\n`,
          'tern_slowdown_alert{operation="prefill"} 0\n', 'tern_slowdown_ratio{operation="decode"} 1.234\n',
          'tern_slowdown_tolerance_ratio 0.05\n'].join('');
}

/** The dashboard over made-up numbers, with an alert among them. */
export async function scripted(page) {
  let k = 0;
  await page.route('**/metrics', (route) => route.fulfill({contentType: 'text/plain', body: metricsText(++k, true)}));
  await page.getByRole('tab', {name: 'Dashboard'}).click();
  await page.waitForFunction(() => document.querySelector('[aria-label^="Generated"] path.line').getAttribute('d').includes('L'));
}
