"""tools/performance.py: the page and its plots come from the JSON of tern bench."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest
import xml.etree.ElementTree

import tiny_model
from cli_support import CliTest

ROOT = pathlib.Path(os.environ["TERN_SOURCE_DIR"])
SCRIPT = ROOT / "tools" / "performance.py"


class PerformancePage(CliTest):
    def setUp(self):
        shutil.rmtree("page", ignore_errors=True)
        pathlib.Path("page").mkdir()
        shutil.copy(ROOT / "docs" / "performance.md", "page.md")

    def render(self, page="page.md"):
        return subprocess.run([sys.executable, SCRIPT, "render", "--page", page], capture_output=True, check=False)

    def test_rows_of_every_kind_become_tables_and_plots(self):
        tiny_model.make_gguf().write("tiny.gguf")
        bench = ("bench", "-o", "json", "-t", "1", "-r", "1", "--no-limits")
        files = {"models": self.ok(*bench, "-m", "tiny.gguf", "-p", "4", "-n", "3", "-npl", "1,2").text,
                 "kernels": self.ok(*bench, "--kernels", "--shape", "1x2560x2560,2x2560x2560").text,
                 "bitlinear": self.ok(*bench, "--bitlinear", "--batch", "1").text,
                 # As the program once wrote it. Measuring takes 10 s of CPU time, and minutes on a busy machine, where
                 # it measures again.
                 "limits": (ROOT / "docs" / "performance" / "limits.json").read_text(encoding="utf-8"),
                 "versus": json.dumps([{"peer": "a<b", "test": "pp4", "n_threads": 1, "ours_ts": 2, "theirs_ts": 1, "ratio": 2,
                                        "ratio_min": 1.5, "ratio_max": 2.5}])}
        for name, text in files.items():
            pathlib.Path("page", name + ".json").write_text(text, encoding="utf-8")
        self.assertEqual(self.render().returncode, 0)
        text = pathlib.Path("page.md").read_text(encoding="utf-8")
        self.assertNotIn("Not measured yet", text)
        for part in ("| dram read | GB/s |", "| tiny | 1 | tg3 x2 |", "gemm_t2_s8_n16k4_scalar | 1x2560x2560 |",
                     "| bitlinear [1,768]x768 |", "1.50 .. 2.50", "![kernels](page/kernels.svg)"):
            self.assertIn(part, text)
        for name in ("models", "kernels", "versus"):
            root = xml.etree.ElementTree.parse(f"page/{name}.svg").getroot()
            self.assertTrue(root.tag.endswith("svg"))
        self.assertEqual(self.render().returncode, 0)
        self.assertEqual(pathlib.Path("page.md").read_text(encoding="utf-8"), text)

    def test_without_figures_the_page_says_so(self):
        self.assertEqual(self.render().returncode, 0)
        self.assertEqual(pathlib.Path("page.md").read_text(encoding="utf-8").count("Not measured yet."), 5)

    def test_a_page_without_marks_is_refused(self):
        pathlib.Path("page.md").write_text("nothing", encoding="utf-8")
        outcome = self.render()
        self.assertNotEqual(outcome.returncode, 0)
        self.assertIn(b"limits: begin", outcome.stderr)


if __name__ == "__main__":
    unittest.main()
