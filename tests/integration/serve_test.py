"""tern serve: the endpoints, whole and streamed, and what they refuse."""

import base64
import json
import math
import re
import struct
import threading
import unittest

from cli_support import CliTest
from serve_support import CONTEXT, MODEL, PROMPT, Server, parse_events

MESSAGES = [{"role": "user", "content": PROMPT}]
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}


class ServeTest(CliTest):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0, cls.server.lines

    def get(self, path):
        status, _, answer = self.server.request("GET", path)
        self.assertEqual(status, 200, answer)
        return answer

    def post(self, path, body, status=200):
        found, _, answer = self.server.request("POST", path, body)
        self.assertEqual(found, status, answer)
        return answer

    def stream(self, path, body):
        """The text of a stream."""
        with self.server.connect() as connection:
            connection.request("POST", path, json.dumps({**body, "stream": True}))
            response = connection.getresponse()
            self.assertEqual(response.status, 200)
            self.assertEqual(response.getheader("Content-Type"), "text/event-stream")
            return response.read().decode()

    def events(self, path, body):
        return parse_events(self.stream(path, body))

    def refused(self, body, param, path="/v1/completions", status=400):
        error = self.post(path, body, status)["error"]
        self.assertEqual(error["type"], "invalid_request_error", error)
        self.assertEqual(error["param"], param, error)
        return error


class Completions(ServeTest):
    def test_a_greedy_completion_is_the_text_of_tern_run(self):
        expected = self.ok("run", *MODEL, "--no-echo", "-p", PROMPT, "-n", 24, "--temp", 0).text[:-1]
        body = {"model": "x", "prompt": PROMPT, "max_tokens": 24, "temperature": 0}
        for path in ("/v1/completions", "/completions"):
            answer = self.post(path, body)
            self.assertEqual(answer["choices"], [
                {"index": 0, "text": expected, "logprobs": None, "finish_reason": "length"}])
            self.assertEqual(answer["object"], "text_completion")
            usage = answer["usage"]
            self.assertEqual(usage["completion_tokens"], 24)
            self.assertEqual(usage["total_tokens"], usage["prompt_tokens"] + 24)
            timings = answer["timings"]
            self.assertEqual(timings["predicted_n"], 24)
            self.assertEqual(timings["prompt_n"] + timings["cache_n"], usage["prompt_tokens"])
            self.assertGreater(timings["predicted_per_second"], 0)

    def test_a_stream_joined_is_the_whole_answer(self):
        body = {"prompt": PROMPT, "max_tokens": 30, "seed": 5}
        whole = self.post("/v1/completions", body)
        events = self.events("/v1/completions", {**body, "stream_options": {"include_usage": True}})
        self.assertEqual("".join(e["choices"][0]["text"] for e in events[:-1]), whole["choices"][0]["text"])
        self.assertEqual([e["choices"][0]["finish_reason"] for e in events[:-1]],
                         [None] * (len(events) - 2) + ["length"])
        self.assertGreater(len(events), 10)
        self.assertEqual((events[-1]["choices"], events[-1]["usage"]), ([], whole["usage"]))
        self.assertEqual(len({e["id"] for e in events}), 1)
        self.assertNotEqual(events[0]["id"], whole["id"])

    def test_several_prompts_and_answers_are_those_of_single_requests(self):
        ids = self.post("/tokenize", {"content": "The dog", "add_special": True})["tokens"]
        body = {"max_tokens": 8, "seed": 7}
        both = self.post("/v1/completions", {**body, "prompt": [PROMPT, "The dog"], "n": 2})
        self.assertEqual([c["index"] for c in both["choices"]], [0, 1, 2, 3])
        alone = [self.post("/v1/completions", {**body, "prompt": prompt, "seed": 7 + i})["choices"][0]["text"]
                 for prompt in (PROMPT, ids) for i in range(2)]
        self.assertEqual([c["text"] for c in both["choices"]], alone)
        self.assertEqual(both["usage"]["completion_tokens"], 32)
        events = self.events("/v1/completions", {**body, "prompt": [PROMPT, "The dog"], "n": 2})
        joined = ["".join(e["choices"][0]["text"] for e in events if e["choices"][0]["index"] == i) for i in range(4)]
        self.assertEqual(joined, alone)

    def test_llama_servers_own_form(self):
        body = {"prompt": PROMPT, "n_predict": 20, "seed": 5}
        openai = self.post("/v1/completions", {"prompt": PROMPT, "max_tokens": 20, "seed": 5})
        whole = self.post("/completion", body)
        self.assertEqual(whole["content"], openai["choices"][0]["text"])
        self.assertEqual((whole["stop"], whole["stop_type"], whole["prompt"]), (True, "limit", PROMPT))
        self.assertEqual((whole["tokens_predicted"], len(whole["tokens"])), (20, 20))
        self.assertEqual(whole["timings"]["predicted_n"], 20)
        events = parse_events(self.stream("/completion", body), end=())
        self.assertEqual("".join(e["content"] for e in events), whole["content"])
        self.assertEqual([e["stop"] for e in events], [False] * (len(events) - 1) + [True])
        self.assertEqual(sum((e["tokens"] for e in events), []), whole["tokens"])
        self.assertEqual(events[-1]["tokens_evaluated"], openai["usage"]["prompt_tokens"])
        word = self.post("/completion", {**body, "stop": [whole["content"][4:8]]})
        self.assertEqual((word["content"], word["stop_type"]), (whole["content"][:4], "word"))
        self.assertEqual((word["stopping_word"], whole["stopping_word"]), (whole["content"][4:8], ""))
        both = self.post("/completion", {**body, "prompt": [PROMPT, PROMPT], "n_probs": 2})
        self.assertEqual([a["content"] for a in both], [whole["content"]] * 2)
        self.assertEqual([p["id"] for p in both[1]["completion_probabilities"]], whole["tokens"])
        self.refused({"prompt": PROMPT, "n_predict": "x"}, "n_predict", "/completion")
        self.refused({"prompt": PROMPT, "id_slot": "x"}, "id_slot", "/completion")

    def test_llama_servers_settings_sent_back_ask_for_the_same_answer(self):
        body = {"prompt": PROMPT, "n_predict": 12, "temperature": 1.5, "top_k": 9, "top_p": 0.75, "min_p": 0.125,
                "repeat_penalty": 1.25, "repeat_last_n": 5, "presence_penalty": 0.5, "frequency_penalty": 0.25,
                "min_tokens": 3, "ignore_eos": True, "stop": ["\x01"], "logit_bias": [[5, 1.5], [6, False]],
                "n_probs": 2, "id_slot": 3}
        for fields in ({}, {"grammar": 'root ::= [a-z ]+'}, {"json_schema": {"enum": ["yes", "no"]}},
                       {"response_format": {"type": "json_object"}}):
            first = self.post("/completion", {**body, **fields})
            settings = first["generation_settings"]
            for key, value in {**body, **fields}.items():
                if key not in ("prompt", "id_slot"):
                    self.assertEqual(settings[key], value, key)
            self.assertEqual((settings["n_ctx"], settings["model"]), (CONTEXT, first["model"]))
            again = self.post("/completion", {"prompt": PROMPT, **settings})
            self.assertEqual((again["content"], again["tokens"]), (first["content"], first["tokens"]))
            self.assertEqual(again["generation_settings"], settings)

    def test_echo_puts_the_prompt_first(self):
        body = {"prompt": PROMPT, "max_tokens": 4, "temperature": 0}
        text = self.post("/v1/completions", body)["choices"][0]["text"]
        echoed = self.post("/v1/completions", {**body, "echo": True})["choices"][0]["text"]
        self.assertEqual(echoed, PROMPT + text)

    def test_a_stop_string_ends_the_answer_and_is_not_in_it(self):
        body = {"prompt": PROMPT, "max_tokens": 40, "temperature": 0}
        whole = self.post("/v1/completions", body)["choices"][0]["text"]
        stop = whole[10:15]
        for form in (stop, ["\x01", stop]):
            choice = self.post("/v1/completions", {**body, "stop": form})["choices"][0]
            self.assertEqual((choice["text"], choice["finish_reason"]), (whole[:whole.index(stop)], "stop"))

    def test_logprobs_in_lists(self):
        body = {"prompt": PROMPT, "max_tokens": 6, "temperature": 0, "logprobs": 3}
        choice = self.post("/v1/completions", body)["choices"][0]
        lists = choice["logprobs"]
        self.assertEqual("".join(lists["tokens"]), choice["text"])
        for token, logprob, top in zip(lists["tokens"], lists["token_logprobs"], lists["top_logprobs"]):
            self.assertEqual(len(top), 3)
            self.assertEqual((top[token], max(top.values())), (logprob, logprob))  # greedy
            self.assertLessEqual(sum(map(math.exp, top.values())), 1.0001)
        offsets = lists["text_offset"]
        self.assertEqual(offsets, [sum(map(len, lists["tokens"][:i])) for i in range(6)])
        streamed = [e["choices"][0]["logprobs"] for e in self.events("/v1/completions", body)]
        self.assertEqual([t for part in streamed if part for t in part["tokens"]], lists["tokens"])

    def test_a_bias_forbids_and_forces(self):
        body = {"prompt": PROMPT, "max_tokens": 1, "temperature": 0, "logprobs": 2}
        first = self.post("/v1/completions", body)["choices"][0]["logprobs"]["tokens"][0]
        token = self.post("/tokenize", {"content": first})["tokens"][0]
        for form in ({str(token): -100}, [[token, False]]):
            other = self.post("/v1/completions", {**body, "logit_bias": form})["choices"][0]["text"]
            self.assertNotEqual(other, first)
        forced = self.post("/v1/completions", {**body, "logit_bias": {"300": 100}})["choices"][0]["text"]
        self.assertEqual(forced, self.post("/detokenize", {"tokens": [300]})["content"])

    def test_clients_at_the_same_time_all_get_their_own_answer(self):
        bodies = [{"prompt": PROMPT, "max_tokens": 12, "seed": seed} for seed in range(16)]
        expected = [self.post("/v1/completions", body)["choices"] for body in bodies]
        found = [None] * len(bodies)

        def ask(i):
            found[i] = self.post("/v1/completions", bodies[i])["choices"]

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(bodies))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, expected)
        self.assertGreater(len({str(choice) for choice in found}), 1)

    def test_a_long_prompt_is_cached(self):
        body = {"prompt": "The dog and the cat. " * 40, "max_tokens": 2, "temperature": 0}
        first = self.post("/v1/completions", body)
        second = self.post("/v1/completions", body)
        self.assertGreater(second["usage"]["prompt_tokens_details"]["cached_tokens"], 100)
        self.assertEqual(second["timings"]["cache_n"], second["usage"]["prompt_tokens_details"]["cached_tokens"])
        self.assertEqual(second["choices"], first["choices"])
        third = self.post("/v1/completions", {**body, "cache_prompt": False})
        self.assertEqual(third["usage"]["prompt_tokens_details"]["cached_tokens"], 0)
        self.assertEqual(third["choices"], first["choices"])


class Chats(ServeTest):
    def test_whole_and_as_a_stream(self):
        body = {"messages": [{"role": "system", "content": "Once upon"},
                             {"role": "user", "content": [{"type": "text", "text": "a time"}]}],
                "max_completion_tokens": 20, "temperature": 0}
        whole = self.post("/v1/chat/completions", body)
        message = whole["choices"][0]["message"]
        self.assertEqual((whole["object"], message["role"]), ("chat.completion", "assistant"))
        self.assertTrue(message["content"])
        events = self.events("/chat/completions", body)
        deltas = [e["choices"][0]["delta"] for e in events]
        self.assertEqual(deltas[0], {"role": "assistant", "content": ""})
        self.assertEqual("".join(d.get("content", "") for d in deltas), message["content"])
        self.assertEqual(events[-1]["choices"][0]["finish_reason"], whole["choices"][0]["finish_reason"])
        self.assertEqual(events[0]["object"], "chat.completion.chunk")

    def test_logprobs_with_bytes(self):
        body = {"messages": MESSAGES, "max_tokens": 5, "temperature": 0, "logprobs": True, "top_logprobs": 2}
        choice = self.post("/v1/chat/completions", body)["choices"][0]
        content = choice["logprobs"]["content"]
        self.assertEqual(bytes(b for token in content for b in token["bytes"]).decode(), choice["message"]["content"])
        for token in content:
            self.assertEqual(token["top_logprobs"][0]["logprob"], token["logprob"])
            self.assertEqual(len(token["top_logprobs"]), 2)
        streamed = [token for e in self.events("/v1/chat/completions", body)
                    for token in (e["choices"][0]["logprobs"] or {"content": []})["content"]]
        self.assertEqual(streamed, content)

    def test_json_of_a_schema(self):
        schema = {"type": "object", "properties": {"b": {"enum": ["yes", "no"]}, "a": {"type": "boolean"}},
                  "required": ["b", "a"], "additionalProperties": False}
        body = {"messages": MESSAGES, "max_tokens": 60, "seed": 1, "response_format": {
            "type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}}}
        choice = self.post("/v1/chat/completions", body)["choices"][0]
        self.assertEqual(choice["finish_reason"], "stop")
        value = json.loads(choice["message"]["content"])
        self.assertEqual(list(value), ["b", "a"])
        self.assertIn(value["b"], ("yes", "no"))
        self.assertIsInstance(value["a"], bool)

    def test_json_objects_and_grammars(self):
        body = {"messages": MESSAGES, "max_tokens": 30, "response_format": {"type": "json_object"}}
        text = self.post("/v1/chat/completions", body)["choices"][0]["message"]["content"]
        self.assertTrue(text.lstrip().startswith("{"), text)
        body = {"messages": MESSAGES, "max_tokens": 30, "grammar": 'root ::= "yes" | "no"'}
        choice = self.post("/v1/chat/completions", body)["choices"][0]
        self.assertIn(choice["message"]["content"], ("yes", "no"))
        self.assertEqual(choice["finish_reason"], "stop")
        path = "/v1/chat/completions"
        self.refused({"messages": MESSAGES, "grammar": "root ::= nothing"}, "grammar", path)
        self.refused({"messages": MESSAGES, "json_schema": {"type": "nothing"}}, "json_schema", path)

    def test_tools_are_refused_by_name_where_the_template_has_none(self):
        for nothing in ([], None):
            self.post("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 1, "tools": nothing})
        error = self.refused({"messages": MESSAGES, "tools": [TOOL]}, "tools", "/v1/chat/completions")
        self.assertIn("template", error["message"])
        self.post("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 1, "tools": [TOOL], "tool_choice": "none"})

    def test_what_front_ends_send_beside_the_standard_is_ignored(self):
        body = {"messages": [{**MESSAGES[0], "id": "1", "timestamp": 5}], "max_tokens": 2, "tools": [], "user": "u",
                "chat_id": "c", "session_id": "s", "background_tasks": {"title_generation": True}, "features": {},
                "variables": {"{{USER_NAME}}": "x"}, "metadata": {"a": 1}, "store": False, "keep_alive": "5m",
                "options": {"num_ctx": 4096}, "parallel_tool_calls": True, "reasoning_effort": "low",
                "samplers": ["top_k", "temperature"], "dry_multiplier": 0.0, "xtc_probability": 0.0, "typical_p": 1,
                "id_slot": -1, "timings_per_token": False, "return_progress": False, "n_probs": 0}
        self.post("/v1/chat/completions", body)


class Responses(ServeTest):
    def test_whole_and_as_a_stream(self):
        body = {"input": PROMPT, "max_output_tokens": 10, "temperature": 0, "metadata": {"k": "v"}}
        whole = self.post("/v1/responses", body)
        message = whole["output"][0]
        self.assertEqual((whole["object"], whole["status"]), ("response", "incomplete"))
        self.assertEqual(whole["incomplete_details"], {"reason": "max_output_tokens"})
        self.assertEqual((message["type"], message["role"]), ("message", "assistant"))
        self.assertEqual(whole["usage"]["output_tokens"], 10)
        self.assertEqual(whole["metadata"], {"k": "v"})
        events = [block.split("\n") for block in self.stream("/v1/responses", body).split("\n\n")[:-1]]
        names = [name.removeprefix("event: ") for name, _ in events]
        data = [json.loads(line.removeprefix("data: ")) for _, line in events]
        self.assertEqual(names, [d["type"] for d in data])
        self.assertEqual([d["sequence_number"] for d in data], list(range(len(data))))
        self.assertEqual(names[:4], ["response.created", "response.in_progress", "response.output_item.added",
                                     "response.content_part.added"])
        self.assertEqual(names[-4:], ["response.output_text.done", "response.content_part.done",
                                      "response.output_item.done", "response.incomplete"])
        text = "".join(d["delta"] for d in data if d["type"] == "response.output_text.delta")
        self.assertEqual(text, message["content"][0]["text"])
        self.assertEqual(data[-1]["response"]["output"][0]["content"], message["content"])

    def test_what_needs_memory_of_earlier_answers_is_refused(self):
        self.refused({"input": "a", "previous_response_id": "resp_1"}, "previous_response_id", "/v1/responses")


class Others(ServeTest):
    def test_health_models_props_and_slots(self):
        for path in ("/health?x=1", "/v1/health", "/ready"):
            self.assertEqual(self.get(path), {"status": "ok"})
        for path in ("/v1/models", "/models"):
            models = self.get(path)["data"]
            self.assertEqual([m["object"] for m in models], ["model"])
        props = self.get("/props")
        self.assertEqual(props["model_alias"], models[0]["id"])
        self.assertEqual(props["default_generation_settings"]["n_ctx"], CONTEXT)
        params = props["default_generation_settings"]["params"]
        given = self.post("/completion", {"prompt": PROMPT, "n_predict": 1, "seed": 1})["generation_settings"]
        changed = {"n_predict": -1, "max_tokens": -1, "seed": -1}
        self.assertEqual({**given, **changed}, {"n_ctx": CONTEXT, "model": props["model_alias"], **params})
        self.assertEqual(self.post("/completion", {"prompt": PROMPT, **params, "n_predict": 1})["stop_type"], "limit")
        self.assertEqual(props["chat_template_caps"]["supports_tools"], "tools" in props["chat_template"])
        self.assertNotIn("/", props["model_path"])
        slots = self.get("/slots")
        self.assertEqual([s["id"] for s in slots], list(range(props["total_slots"])))
        self.assertEqual(self.get("/slots?fail_on_no_slot=1"), slots)

    def test_metrics_count(self):
        before = self.server.metrics()
        self.post("/v1/completions", {"prompt": PROMPT, "max_tokens": 7, "ignore_eos": True})
        after = self.server.metrics()
        self.assertEqual(after["tern_tokens_generated_total"] - before["tern_tokens_generated_total"], 7)
        finished = 'tern_requests_total{result="finished"}'
        self.assertEqual(after[finished] - before[finished], 1)
        self.assertGreater(after['tern_ttft_recent_seconds{percentile="99.9"}'], 0)
        self.assertEqual(after["tern_ttft_seconds_count"] - before["tern_ttft_seconds_count"], 1)
        self.assertEqual(after["tern_inter_token_seconds_count"] - before["tern_inter_token_seconds_count"], 6)
        self.assertGreater(after["process_resident_memory_bytes"], 1e6)
        self.assertEqual(after['tern_slowdown_alert{operation="decode"}'], 0)

    def test_metrics_are_prometheus_text(self):
        status, headers, text = self.server.request("GET", "/metrics")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        declared = set()
        for line in text.decode().splitlines():
            if line.startswith("#"):
                kind, name = line.split()[1:3]
                self.assertIn(kind, ("HELP", "TYPE"))
                declared.add(name)
            else:
                self.assertRegex(line, r'^[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [-+.e0-9]+$')
                name = re.sub(r"(\{.*)? .*", "", line)
                self.assertTrue(name in declared or re.sub("_(sum|count|bucket)$", "", name) in declared, line)

    def test_embeddings_are_of_length_one_and_alone_or_together_the_same(self):
        texts = ["The dog ran.", "A cat slept all day."]
        together = self.post("/v1/embeddings", {"input": texts})
        vectors = [item["embedding"] for item in together["data"]]
        for text, vector in zip(texts, vectors):
            self.assertAlmostEqual(sum(x * x for x in vector), 1, places=4)
            alone = self.post("/v1/embeddings", {"input": text, "encoding_format": "base64"})["data"][0]["embedding"]
            self.assertEqual(list(struct.unpack(f"<{len(vector)}f", base64.b64decode(alone))), vector)
        self.assertNotEqual(*vectors)
        self.assertGreater(together["usage"]["prompt_tokens"], 5)
        self.refused({"input": 5}, "input", "/v1/embeddings")
        self.refused({"input": "a", "encoding_format": "int4"}, "encoding_format", "/v1/embeddings")

    def test_tokens_and_back(self):
        ids = self.post("/tokenize", {"content": PROMPT})["tokens"]
        self.assertEqual(self.post("/detokenize", {"tokens": ids})["content"], PROMPT)
        pieces = self.post("/tokenize", {"content": PROMPT, "with_pieces": True})["tokens"]
        self.assertEqual(([t["id"] for t in pieces], "".join(t["piece"] for t in pieces)), (ids, PROMPT))
        self.refused({"tokens": [10**9]}, "tokens", "/detokenize")
        prompt = self.post("/apply-template", {"messages": MESSAGES})["prompt"]
        self.assertIn(PROMPT, prompt)

    def test_one_connection_serves_many_requests(self):
        with self.server.connect() as connection:
            for stream in (False, True, False):
                connection.request("POST", "/v1/completions",
                                   json.dumps({"prompt": "a", "max_tokens": 2, "stream": stream}))
                first = connection.sock
                response = connection.getresponse()
                self.assertEqual(response.status, 200)
                response.read()
                self.assertIs(connection.sock, first)
            connection.request("POST", "/v1/completions", "{")
            self.assertEqual(connection.getresponse().status, 400)

    def test_wrong_requests_are_refused_with_the_field_at_fault(self):
        self.refused({"prompt": "a", "temperature": "hot"}, "temperature")
        self.refused({"prompt": "a", "n": 1000}, "n")
        self.refused({"prompt": [10**9]}, "prompt")
        self.refused({}, "prompt")
        self.refused({}, "messages", path="/v1/chat/completions")
        self.refused({"messages": [{"role": "nobody", "content": "a"}]}, "messages[0].role", "/v1/chat/completions")
        self.refused("{", None)
        self.refused(b'{"prompt": "\xff"}', None)
        self.refused("[" * 500000, None)

    def test_a_prompt_longer_than_the_context_is_refused(self):
        text = "the dog and the cat " * (CONTEXT // 4)
        error = self.refused({"prompt": text}, "prompt")
        self.assertEqual(error["code"], "context_length_exceeded")
        self.refused({"messages": [{"role": "user", "content": text}], "stream": True}, "messages", "/v1/chat/completions")
        self.refused({"input": text}, "input", "/v1/responses")

    def test_unknown_paths_and_wrong_methods(self):
        self.assertEqual(self.server.request("GET", "/v2/nothing")[0], 404)
        status, headers, _ = self.server.request("GET", "/v1/completions")
        self.assertEqual((status, headers["Allow"]), (405, "POST"))
        status, headers, _ = self.server.request("POST", "/health", "")
        self.assertEqual((status, headers["Allow"]), (405, "GET"))

    def test_the_page_comes_with_its_policy_and_is_not_sent_twice(self):
        status, headers, page = self.server.request("GET", "/")
        self.assertEqual((status, headers.get_content_type()), (200, "text/html"))
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        for path in set(re.findall(r'"/?(web/[^"]+)"', page.decode())):
            self.assertEqual(self.server.request("GET", "/" + path)[0], 200, path)
        status, _, again = self.server.request("GET", "/", headers={"If-None-Match": headers["ETag"]})
        self.assertEqual((status, again), (304, b""))

    def test_the_log_has_a_line_a_request_with_its_id_and_no_text_of_it(self):
        _, headers, _ = self.server.request("POST", "/v1/completions", {"prompt": "Xylophone", "max_tokens": 2})
        self.refused({"prompt": "a", "temperature": "Xylophone"}, "temperature")
        self.assertTrue(self.server.log_has(headers["X-Request-Id"]))
        self.assertTrue(self.server.log_has("POST /v1/completions 400 temperature, "))
        self.assertTrue(self.server.log_has("answer 2 tokens"))
        self.assertFalse(any("Xylophone" in line for line in self.server.lines))


if __name__ == "__main__":
    unittest.main()
