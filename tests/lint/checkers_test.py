"""Plants offences in small trees and asks that the checkers of tools/ find them. usage: checkers_test.py TOOLS"""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv.pop(1))

import check_hygiene  # noqa: E402
import check_kernel_symbols  # noqa: E402
import check_layers  # noqa: E402

TABLE = """
[modules]
base = []
tensor = ["base"]
backend = ["tensor", "base"]
"backend/reference" = ["backend", "base"]
[programs]
apps = ["*"]
[third_party]
"nlohmann/" = ["apps"]
"""

SOUND = {
    "tools/layers.toml": TABLE,
    "src/base/check.h": "#pragma once\n#include <vector>\n",
    "src/tensor/view.h": '#include "base/check.h"\n',
    "src/tensor/view.cc": '#include "tensor/view.h"\n#include "view.h"\n',
    "src/backend/backend.h": '#include "tensor/view.h"\n',
    "src/backend/reference/loops.cc": '#include "backend/backend.h"\n',
    "apps/tern/main.cc": '#include "backend/reference/loops.h"\n#include <nlohmann/json.hpp>\n',
    "src/backend/reference/loops.h": "",
}


class TreeTest(unittest.TestCase):
    """A test over a tree of small files: SOUND plus what the case adds."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()

    def write(self, files):
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


class LayersTest(TreeTest):
    def offences(self, added):
        self.write(SOUND | added)
        return check_layers.check(self.root, check_layers.Table(self.root / "tools/layers.toml"))

    def assert_only(self, offences, *parts):
        self.assertEqual(len(offences), 1, offences)
        for part in parts:
            self.assertIn(part, offences[0])

    def test_a_sound_tree_has_no_offence(self):
        self.assertEqual(self.offences({}), [])

    def test_an_include_that_points_up_is_found(self):
        found = self.offences({"src/base/up.cc": '\n#include "tensor/view.h"\n'})
        self.assert_only(found, "src/base/up.cc:2", "no arrow from base to tensor")

    def test_a_missing_arrow_between_neighbours_is_found(self):
        found = self.offences({"src/backend/reference/x.cc": '#include "tensor/view.h"\n'})
        self.assert_only(found, "no arrow from backend/reference to tensor")

    def test_an_interface_may_not_see_its_implementation(self):
        found = self.offences({"src/backend/x.cc": '# include "reference/loops.h"\n'})
        self.assert_only(found, "no arrow from backend to backend/reference")

    def test_a_relative_path_does_not_hide_an_arrow(self):
        found = self.offences({"src/base/x.cc": '#include "../tensor/view.h"\n'})
        self.assert_only(found, "no arrow from base to tensor")

    def test_a_quoted_include_that_is_not_ours_is_found(self):
        self.assert_only(self.offences({"src/base/x.cc": '#include "fmt/format.h"\n'}), "is no file of ours")

    def test_our_header_in_angle_brackets_is_found(self):
        self.assert_only(self.offences({"src/tensor/x.cc": "#include <base/check.h>\n"}), "is ours")

    def test_a_third_party_header_in_the_wrong_room_is_found(self):
        found = self.offences({"src/tensor/x.cc": "#include <nlohmann/json.hpp>\n"})
        self.assert_only(found, "tensor may not include <nlohmann/json.hpp>")

    def test_a_folder_without_a_row_is_found(self):
        self.assert_only(self.offences({"src/utils/x.h": ""}), "no row in layers.toml")

    def test_a_cycle_in_the_table_is_found(self):
        found = self.offences({"tools/layers.toml": TABLE.replace("base = []", 'base = ["backend"]')})
        self.assertTrue(any("lead back" in offence for offence in found), found)

    def test_a_row_that_names_no_module_is_found(self):
        found = self.offences({"tools/layers.toml": TABLE.replace("base = []", 'base = ["bse"]')})
        self.assert_only(found, "bse, which is no module")


class HygieneTest(TreeTest):
    def offences(self, files):
        self.write(files)
        return check_hygiene.check(self.root)

    def test_sound_files_have_no_offence(self):
        files = {"src/a.cc": "int a;\n", "docs/b.md": "see tests/home/x and ~/home, two  \n", "build/x": "/home" "/me\n"}
        self.assertEqual(self.offences(files), [])

    def test_a_machine_path_is_found(self):
        for text in ("see /home" "/me/x\n", 'open("/root' '/x")\n', "PATH=/work" "/y\n"):
            self.assertEqual(len(self.offences({"README.md": text})), 1, text)

    def test_a_mark_of_unfinished_work_is_found(self):
        self.assertEqual(len(self.offences({"src/a.cc": "// TO" "DO: rest\n"})), 1)

    def test_white_space_at_the_end_of_a_source_line_is_found(self):
        self.assertEqual(len(self.offences({"src/a.h": "int a; \n"})), 1)

    def test_a_conflict_marker_is_found(self):
        self.assertEqual(len(self.offences({"notes.md": "<" * 7 + " HEAD\n"})), 1)

    def test_a_link_that_leads_nowhere_is_found(self):
        files = {"docs/a.md": "[b](b.md#part) [c](../c.md) [web](https://example.org/x) [here](#x)\n", "c.md": "c\n"}
        found = self.offences(files)
        self.assertEqual(len(found), 1, found)
        self.assertIn("the link to b.md leads nowhere", found[0])

    def test_a_long_source_is_found_and_a_long_text_is_not(self):
        self.assertEqual(self.offences({"docs/a.md": "a\n" * 800, "src/a.cc": "\n" * 600}), [])
        self.assertEqual(len(self.offences({"src/b.cc": "\n" * 800})), 1)

    def test_a_binary_file_is_not_read_as_text(self):
        (self.root / "x.gguf").write_bytes(b"GGUF\0\xff /home" b"/me/x")
        self.assertEqual(check_hygiene.check(self.root), [])


class KernelSymbolsTest(unittest.TestCase):
    def offences(self, listing):
        return list(check_kernel_symbols.offences(listing))

    def test_local_symbols_and_our_global_ones_are_no_offence(self):
        self.assertEqual(self.offences("0000000000000000 t tern::cpu::(anonymous namespace)::Quantize(float const*)\n"
                                       "0000000000000040 T tern::cpu::Gemm(tern::cpu::GemmArgs const&)\n"
                                       "0000000000000000 r .LC0\n"
                                       "0000000000000000 V DW.ref.__gxx_personality_v0\n"), [])

    def test_a_weak_symbol_is_found(self):
        found = self.offences("0000000000000000 W std::vector<int>::push_back(int const&)\n")
        self.assertEqual(len(found), 1, found)
        self.assertIn("weak symbol std::vector", found[0])

    def test_a_global_symbol_of_another_namespace_is_found(self):
        self.assertEqual(len(self.offences("0000000000000000 T tern::Dot(float const*, float const*)\n")), 1)


if __name__ == "__main__":
    unittest.main()
