"""tern serve with the official openai client of npm: openai/client.mjs. The client comes from npm into the build folder.

Skipped without node or npm (Debian: apt-get install nodejs npm), and where npm reaches no registry.
"""

import os
import pathlib
import shutil
import subprocess
import unittest

from cli_support import CliTest, skip_all
from serve_support import Server

VERSION = "openai@7.59.0"
HERE = pathlib.Path(__file__).parent


def program(name):
    return shutil.which(name) or skip_all(f"{name} is not installed (Debian: apt-get install nodejs npm)")


def client_folder():
    """A folder whose node_modules has the client; filled once."""
    folder = pathlib.Path(os.environ["TERN_TMP"]).parent / "serve_openai_npm"
    stamp = folder / "version"
    if stamp.exists() and stamp.read_text() == VERSION:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    done = subprocess.run([program("npm"), "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder),
                           VERSION], capture_output=True, text=True, timeout=200, check=False)
    if done.returncode != 0:
        skip_all(f"npm could not install {VERSION}")
    stamp.write_text(VERSION)
    return folder


class OpenAi(CliTest):
    def test_the_official_client(self):
        node, folder = program("node"), client_folder()
        shutil.copy(HERE / "openai" / "client.mjs", folder)  # modules are looked for beside the script
        server = Server("--api-key", "k")
        done = subprocess.run([node, "--test", str(folder / "client.mjs")], capture_output=True, text=True, timeout=200,
                              env={**os.environ, "OPENAI_API_KEY": "k",
                                   "OPENAI_BASE_URL": f"http://127.0.0.1:{server.port}/v1"}, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"pass 1[0-9]\b")
        headers = {"Authorization": "Bearer k"}
        self.assertIn(b"tern_requests_running 0\n", server.request("GET", "/metrics", headers=headers)[2])
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
