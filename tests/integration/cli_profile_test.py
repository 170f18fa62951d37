"""tern profile: what it prints and writes can be read back and adds up. Nothing here looks at how fast it was."""

import json
import pathlib
import unittest
import xml.etree.ElementTree

import tiny_model
from cli_support import CliTest, tern

# A name that would end an attribute or an element if it weren't escaped.
MODEL = "a<b>&\"'.gguf"
QUICK = ("-p", "8", "-n", "3", "-t", "1", "-r", "1")


class ProfileCommand(CliTest):
    @classmethod
    def setUpClass(cls):
        tiny_model.make_gguf().write(MODEL)

    def profile(self, *arguments):
        return self.ok("profile", "-m", MODEL, *QUICK, *arguments)

    def test_the_tables_have_every_operation_and_layer_and_a_verdict(self):
        text = self.profile().text
        for part in ("Limits measured in this run: ", "## prefill: pp8", "## decode: tg3", "| linear qkv |", "| attention |",
                     "| layer 0 |", "| between operations |", "\nPrefill is bound by ", "\nDecode is bound by "):
            self.assertIn(part, text)

    def test_without_limits_there_is_no_verdict(self):
        data = json.loads(self.profile("--no-limits", "-o", "json").text)
        self.assertIsNone(data["limits"])
        self.assertEqual([phase["bound"] for phase in data["phases"]], [None, None])

    def test_the_parts_are_the_whole(self):
        for phase in json.loads(self.profile("-o", "json").text)["phases"]:
            for groups in ("ops", "layers"):
                self.assertAlmostEqual(sum(group["seconds"] for group in phase[groups]), phase["operations_seconds"], 9)
            self.assertAlmostEqual(sum(phase["pass_seconds"]), phase["seconds"], 9)
            self.assertLessEqual(phase["operations_seconds"], phase["seconds"])
            self.assertIn(phase["bound"], ("memory", "compute", "overhead"))
            self.assertIn(f"is bound by {phase['bound']}", phase["sentence"])

    def test_the_folder_has_everything_in_a_form_that_others_read(self):
        self.profile("--out", "sub/folder", "--no-limits")
        folder = pathlib.Path("sub/folder")
        for name in ("roofline.svg", "flame.svg"):
            root = xml.etree.ElementTree.parse(folder / name).getroot()
            self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
            self.assertIn(MODEL[:-5], "".join(root.itertext()))
        trace = json.loads((folder / "trace.json").read_text(encoding="utf-8"))
        slices = [event for event in trace["traceEvents"] if event["ph"] == "X"]
        self.assertEqual(sum(event["cat"] == "pass" for event in slices), 4)
        for event in slices:
            self.assertGreaterEqual(event["dur"], 0)
            self.assertEqual((event["pid"], event["tid"]), (1, 1))
        self.assertIn("## decode", (folder / "profile.md").read_text(encoding="utf-8"))
        self.assertEqual(len(json.loads((folder / "profile.json").read_text(encoding="utf-8"))["phases"]), 2)
        self.assertEqual({file.name for file in folder.iterdir()} - {"roofline.png"},
                         {"profile.md", "profile.json", "roofline.svg", "flame.svg", "trace.json"})

    def test_batches_depths_and_one_phase_alone(self):
        data = json.loads(self.ok("profile", "-m", MODEL, "-npl", "3", "-d", "2", "-p", "0", "-n", "3", "-r", "1", "--no-limits",
                                  "-o", "json").text)
        self.assertEqual([phase["test"] for phase in data["phases"]], ["tg3 x3 @ d2"])

    def test_what_makes_no_sense_is_refused(self):
        self.fails("profile", "-p", "0", "-n", "0", code=2, names=["nothing to profile"])
        pathlib.Path("file").write_text("", encoding="utf-8")
        self.fails("profile", "-m", MODEL, *QUICK, "--out", "file", names=["file"])
        self.fails("profile", "-m", MODEL, "-o", "xml", code=2, names=["xml"])

    def test_help_has_an_example(self):
        self.assertIn("tern profile -m model.gguf", tern("profile", "--help").text)


if __name__ == "__main__":
    unittest.main()
