// Keyboard, screen readers, contrast, motion, narrow screens; and the headers of the files.

import assert from 'node:assert/strict';
import test from 'node:test';

import {ENDLESS, ENDLESS_HASH, END, MARKUP, STORY, URL_OPEN, ask, button, check, events, field, finished,
        fulfilChat, piece, scripted, stored, violations} from './support.mjs';

test('files have their headers', async () => {
  for (const [name, type] of [['', 'text/html'], ['web/app.js', 'text/javascript'], ['web/base.css', 'text/css'],
                              ['web/icon.svg', 'image/svg+xml']]) {
    const response = await fetch(URL_OPEN + name);
    assert.equal(response.status, 200, name);
    assert.ok(response.headers.get('content-type').startsWith(type), name);
    assert.equal(response.headers.get('content-security-policy'), process.env.WEB_POLICY);
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
    const tag = response.headers.get('etag');
    assert.match(tag, /^"[0-9a-f]+"$/);
    const again = await fetch(URL_OPEN + name, {headers: {'If-None-Match': tag}});
    assert.equal(again.status, 304);
  }
  assert.equal((await fetch(`${URL_OPEN}web/nothing.js`)).status, 404);
});

check('everything works from the keyboard, and focus can be seen', async (page) => {
  await page.locator('#tab-chat').focus();
  const seen = [];
  for (let i = 0; i < 30; i++) {
    await page.keyboard.press(i === 0 ? 'Shift+Tab' : 'Tab');
    const stop = await page.evaluate(() => {
      const node = document.activeElement;
      const ring = (n) => n && getComputedStyle(n).outlineStyle !== 'none' && parseFloat(getComputedStyle(n).outlineWidth) > 0;
      return {name: node.id || node.textContent.trim().slice(0, 20), visible: ring(node) || ring(node.closest('.box')),
              body: node === document.body};
    });
    if (stop.body) break;
    assert.ok(stop.visible, `no ring on ${stop.name}`);
    seen.push(stop.name);
  }
  assert.deepEqual(seen.filter((name) => /^[a-z_-]+$/.test(name)), [
    'skip', 'tab-chat', 'theme', 'log', 'message', 'send', 'settings-toggle', 'settings-close', 'system', 'temperature',
    'top_p', 'top_k', 'min_p', 'max_tokens', 'seed', 'seed-new', 'share', 'reset', 'key', 'announce']);
  await page.locator('#skip').focus();
  await page.keyboard.press('Enter');
  await page.keyboard.type(STORY);
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('Please.');
  await page.keyboard.press('Enter');
  await finished(page);
  assert.equal((await stored(page))[0].content, `${STORY}\nPlease.`);
  await page.locator('#tab-chat').focus();
  await page.keyboard.press('ArrowRight');
  assert.equal(await page.getByRole('tab', {selected: true}).textContent(), 'Dashboard');
  assert.ok(page.url().endsWith('view=dashboard'));
  await page.keyboard.press('Home');
  assert.equal(await page.getByRole('tab', {selected: true}).textContent(), 'Chat');
});

check('screen readers hear sentences and the end', async (page) => {
  const text = 'One is here. Two follows! And a **third** one';
  await page.evaluate(() => {
    window.heard = [];
    new MutationObserver((records) => records.forEach((r) => r.addedNodes.forEach((n) => window.heard.push(n.textContent))))
        .observe(document.getElementById('live'), {childList: true});
  });
  await fulfilChat(page, events(piece(text), END));
  await ask(page, 'Count.');
  const heard = await page.evaluate(() => window.heard);
  assert.equal(heard[0], 'The answer is on its way.');
  assert.equal(heard.at(-1), 'The answer is complete.');
  assert.equal(heard.slice(1, -1).join(' '), 'One is here. Two follows! And a third one');
  await page.getByLabel(/Screen readers hear/).uncheck();
  await page.evaluate(() => (window.heard = []));
  await button(page, 'Regenerate answer').click();
  await finished(page);
  assert.deepEqual(await page.evaluate(() => window.heard), ['The answer is on its way.', 'The answer is complete.']);
});

check('sentences are said once, and not too often', async (page) => {
  const said = await page.evaluate(async () => {
    const {SentenceAnnouncer} = await import(new URL('web/announcer.js', location.href));
    const speaker = new SentenceAnnouncer();
    speaker.update('One. Tw', 2000);
    speaker.update('One. Two. ', 2100);
    speaker.update('One. Two. Three? Fo', 9000);
    speaker.finish('One. Two. Three? Four');
    return [...document.getElementById('live').children].map((line) => line.textContent);
  });
  assert.deepEqual(said, ['One.', 'Two. Three?', 'Four']);
});

for (const colorScheme of ['light', 'dark']) {
  check(`accessibility rules, ${colorScheme}`, async (page) => {
    assert.deepEqual(await violations(page), []);
    await ask(page, STORY);
    await ask(page, MARKUP, 2);
    await page.getByLabel('Top p').fill('7');
    assert.deepEqual(await violations(page), []);
    await page.screenshot({path: `chat-${colorScheme}.png`});
    await button(page, 'Edit message').first().click();
    assert.deepEqual(await violations(page), []);
    await fulfilChat(page, events({error: {message: 'The device is gone.'}}));
    await ask(page, STORY, 3);
    assert.deepEqual(await violations(page), []);
    await scripted(page);
    await page.getByText('All values as a table').click();
    assert.deepEqual(await violations(page), []);
    await page.screenshot({path: `dashboard-${colorScheme}.png`});
  }, {colorScheme});
}

check('the theme follows the system until one is chosen', async (page) => {
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.emulateMedia({colorScheme: 'dark'});
  const dark = await background();
  assert.notEqual(light, dark);
  await button(page, 'Theme: system').click();
  assert.equal(await background(), light);
  await button(page, 'Theme: light').click();
  await page.emulateMedia({colorScheme: 'light'});
  assert.equal(await background(), dark);
  await page.reload();
  assert.equal(await background(), dark);
  await button(page, 'Theme: dark').click();
  assert.equal(await background(), light);
});

check('little motion where little is wanted', async (page) => {
  const animation = () => page.evaluate(() => {
    const answer = document.querySelector('article.streaming .content');
    return getComputedStyle(answer.querySelector('p:last-child') ?? answer, '::after').animationName;
  });
  await field(page).fill(ENDLESS);
  await field(page).press('Enter');
  await page.locator('article.streaming').waitFor();
  assert.equal(await animation(), 'breathe');
  await page.emulateMedia({reducedMotion: 'reduce'});
  assert.equal(await animation(), 'none');
}, {hash: ENDLESS_HASH});

check('a width of 360 pixels is enough', async (page) => {
  const tooWide = () => page.evaluate(() => {
    const clipped = (node) => node.closest('pre, .scroll, .sr, .skip, [hidden]');
    return [...document.querySelectorAll('body *')].filter((node) => !clipped(node) &&
        node.getBoundingClientRect().right > innerWidth + 0.5).map((node) => node.outerHTML.slice(0, 80));
  });
  assert.equal(await page.locator('#settings').isHidden(), true);
  assert.deepEqual(await tooWide(), []);
  await ask(page, 'x'.repeat(400));
  await ask(page, MARKUP, 2);
  assert.deepEqual(await tooWide(), []);
  assert.deepEqual(await violations(page), []);
  await page.screenshot({path: 'narrow.png'});
  await button(page, 'Settings').click();
  assert.equal(await page.locator('#settings-title').evaluate((node) => node === document.activeElement), true);
  assert.deepEqual(await tooWide(), []);
  assert.deepEqual(await violations(page), []);
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('#settings').isHidden(), true);
  assert.equal(await page.locator('#settings-toggle').evaluate((node) => node === document.activeElement), true);
  await scripted(page);
  assert.deepEqual(await tooWide(), []);
  await page.screenshot({path: 'narrow-dashboard.png'});
}, {viewport: {width: 360, height: 740}});
