// What the official client must be able to do, against a running tern serve ($OPENAI_BASE_URL).
import assert from 'node:assert/strict';
import test from 'node:test';
import OpenAI from 'openai';

const client = new OpenAI({maxRetries: 0});
const model = 'tern-stories';
const messages = [{role: 'user', content: 'Once upon a time'}];

test('models', async () => {
  const names = [];
  for await (const entry of client.models.list()) names.push(entry.id);
  assert.deepEqual(names, [model]);
});

test('chat', async () => {
  const answer = await client.chat.completions.create({model, messages, max_tokens: 10, temperature: 0});
  assert.equal(answer.choices[0].message.role, 'assistant');
  assert.ok(answer.choices[0].message.content.length > 0);
  assert.equal(answer.usage.completion_tokens, 10);
  assert.ok(answer._request_id.startsWith('req-'));
});

test('streamed chat is the whole answer', async () => {
  const body = {model, messages, max_completion_tokens: 20, seed: 3};
  const whole = await client.chat.completions.create(body);
  const stream = await client.chat.completions.create({...body, stream: true, stream_options: {include_usage: true}});
  let text = '', usage = null, reason = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? '';
    reason = chunk.choices[0]?.finish_reason ?? reason;
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(reason, whole.choices[0].finish_reason);
  assert.equal(usage.total_tokens, whole.usage.total_tokens);
});

test('the helper for streams gathers the message', async () => {
  const stream = client.chat.completions.stream({model, messages, max_tokens: 10, temperature: 0});
  const final = await stream.finalChatCompletion();
  const whole = await client.chat.completions.create({model, messages, max_tokens: 10, temperature: 0});
  assert.equal(final.choices[0].message.content, whole.choices[0].message.content);
});

test('completions, streamed too', async () => {
  const body = {model, prompt: 'Once upon a time', max_tokens: 12, temperature: 0};
  const whole = await client.completions.create(body);
  let text = '';
  for await (const chunk of await client.completions.create({...body, stream: true})) text += chunk.choices[0].text;
  assert.equal(text, whole.choices[0].text);
});

test('embeddings, which the client asks for in base 64', async () => {
  const answer = await client.embeddings.create({model, input: ['The dog ran.', 'The cat slept.']});
  const [a, b] = answer.data.map((item) => item.embedding);
  const floats = await client.embeddings.create({model, input: 'The dog ran.', encoding_format: 'float'});
  assert.ok(Math.abs(a.reduce((sum, x) => sum + x * x, 0) - 1) < 1e-4);
  assert.notDeepEqual(a, b);
  assert.equal(a.length, floats.data[0].embedding.length);
  a.forEach((x, i) => assert.ok(Math.abs(x - floats.data[0].embedding[i]) < 1e-6));
});

test('json_schema', async () => {
  const schema = {
    type: 'object',
    properties: {animal: {enum: ['dog', 'cat']}, legs: {type: 'integer', minimum: 2, maximum: 8}},
    required: ['animal', 'legs'],
    additionalProperties: false,
  };
  const response_format = {type: 'json_schema', json_schema: {name: 'animal', strict: true, schema}};
  const answer = await client.chat.completions.create({model, messages, max_tokens: 60, seed: 1, response_format});
  const value = JSON.parse(answer.choices[0].message.content);
  assert.ok(['dog', 'cat'].includes(value.animal));
  assert.ok(Number.isInteger(value.legs));
});

test('n', async () => {
  const answer = await client.chat.completions.create({model, messages, max_tokens: 8, n: 3, seed: 1});
  assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1, 2]);
  assert.ok(new Set(answer.choices.map((choice) => choice.message.content)).size > 1);
  assert.equal(answer.usage.completion_tokens, 24);
});

test('logprobs', async () => {
  const body = {model, messages, max_tokens: 4, temperature: 0, logprobs: true, top_logprobs: 3};
  const choice = (await client.chat.completions.create(body)).choices[0];
  assert.equal(choice.logprobs.content.map((token) => token.token).join(''), choice.message.content);
  for (const token of choice.logprobs.content) {
    assert.equal(token.top_logprobs.length, 3);
    assert.ok(token.logprob <= 0);
  }
});

test('stop', async () => {
  const body = {model, messages, max_tokens: 30, temperature: 0};
  const text = (await client.chat.completions.create(body)).choices[0].message.content;
  const stop = text.slice(8, 12);
  const choice = (await client.chat.completions.create({...body, stop: [stop]})).choices[0];
  assert.equal(choice.message.content, text.slice(0, text.indexOf(stop)));
  assert.equal(choice.finish_reason, 'stop');
});

test('abort', async () => {
  const stream = await client.completions.create(
      {model, prompt: 'a', max_tokens: 7000, stream: true, temperature: 2, ignore_eos: true});
  let chunks = 0;
  for await (const chunk of stream) {
    assert.ok(chunk.choices);
    if (++chunks === 3) stream.controller.abort();
  }
  assert.equal(chunks, 3);
  const url = new URL('/metrics', client.baseURL);
  for (;;) {  // the test's own time limit ends it
    const text = await (await fetch(url, {headers: {Authorization: `Bearer ${client.apiKey}`}})).text();
    if (/^tern_requests_running 0$/m.test(text)) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

test('responses, streamed too', async () => {
  const body = {model, input: 'Once upon a time', max_output_tokens: 12, temperature: 0};
  const whole = await client.responses.create(body);
  assert.ok(whole.output_text.length > 0);
  assert.equal(whole.usage.output_tokens, 12);
  let text = '', last = null;
  for await (const event of await client.responses.create({...body, stream: true})) {
    if (event.type === 'response.output_text.delta') text += event.delta;
    last = event;
  }
  assert.equal(text, whole.output_text);
  assert.equal(last.type, 'response.incomplete');
});

test('errors have their class and the field', async () => {
  await assert.rejects(client.chat.completions.create({model, messages, temperature: 'hot'}), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, 'temperature');
    return true;
  });
  const tools = [{type: 'function', function: {name: 'f', parameters: {type: 'object'}}}];
  await assert.rejects(client.chat.completions.create({model, messages, tools}), (error) => {
    assert.equal(error.param, 'tools');
    return true;
  });
  const stranger = new OpenAI({apiKey: 'wrong', maxRetries: 0});
  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
});
