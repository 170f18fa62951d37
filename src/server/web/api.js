// Requests to the server this page came from; addresses are relative, so a proxy may add a prefix.

/** What went wrong, worded for people. */
export class ApiProblem extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

function headersFor(key) {
  return key ? {Authorization: `Bearer ${key}`} : {};
}

async function problemOf(response) {
  let said = '';
  try {
    said = String(JSON.parse(await response.text()).error?.message ?? '');
  } catch {
    // Not JSON: the status has to do.
  }
  const after = response.headers.get('Retry-After');
  const tail = said ? ` The server says: ${said}` : '';
  switch (response.status) {
    case 401:
    case 403:
      return new ApiProblem(`The server wants a valid API key (see Settings).${tail}`, response.status);
    case 429:
      return new ApiProblem(
          `The server is busy. Try again ${after ? `in ${after} s` : 'soon'}.${tail}`, 429);
    case 503:
      return new ApiProblem(`The server is loading or shutting down.${tail}`, 503);
    default:
      return new ApiProblem(said || `The server answered with status ${response.status}.`, response.status);
  }
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, {cache: 'no-store', ...options});
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiProblem('The server cannot be reached.');
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

export async function getText(path, {key, timeout = 5000} = {}) {
  return (await request(path, {headers: headersFor(key), signal: AbortSignal.timeout(timeout)})).text();
}

export async function getJson(path, options) {
  const text = await getText(path, options);
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiProblem(`${path}: the answer is not JSON.`);
  }
}

/** The data of each server-sent event. Lines end in CR, LF or both, wherever the network cuts them. */
export class EventReader {
  #rest = '';
  #data = [];

  /** Takes more of the stream; returns the events that are complete. */
  push(text) {
    this.#rest += text;
    const events = [];
    for (;;) {
      const end = this.#rest.search(/\r\n|\r(?!$)|\n/);
      if (end < 0) return events;
      const line = this.#rest.slice(0, end);
      this.#rest = this.#rest.slice(end + (this.#rest.startsWith('\r\n', end) ? 2 : 1));
      if (line === '') {
        if (this.#data.length > 0) events.push(this.#data.join('\n'));
        this.#data = [];
      } else if (line.startsWith('data:')) {
        this.#data.push(line.slice(line[5] === ' ' ? 6 : 5));
      }
    }
  }
}

function parsedEvent(event) {
  let object;
  try {
    object = JSON.parse(event);
  } catch {
    throw new ApiProblem('The server sent an event that is not JSON.');
  }
  if (object?.error) throw new ApiProblem(String(object.error.message ?? 'The server failed.'));
  return object;
}

/** POSTs the body and yields the chunks of the streamed answer. Throws ApiProblem, or AbortError after signal. */
export async function* streamChat(body, {key, signal}) {
  const response = await request('v1/chat/completions', {
    method: 'POST',
    headers: {'Content-Type': 'application/json', ...headersFor(key)},
    body: JSON.stringify({...body, stream: true, stream_options: {include_usage: true}}),
    signal,
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const events = new EventReader();
  let finished = false;
  try {
    for (;;) {
      let part;
      try {
        part = await reader.read();
      } catch (error) {
        if (signal.aborted || finished) throw error;
        throw new ApiProblem('The connection broke before the answer was complete.');
      }
      if (part.done) break;
      for (const event of events.push(part.value)) {
        if (event === '[DONE]') return;
        const chunk = parsedEvent(event);
        finished ||= Boolean(chunk.choices?.[0]?.finish_reason);
        yield chunk;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
  if (!finished) throw new ApiProblem('The connection ended before the answer was complete.');
}
