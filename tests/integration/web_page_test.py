"""The page of tern serve in headless Chromium: web/*.mjs, driven by Playwright, against a fake server.

Skipped without chromium, node or npm. playwright-core and axe-core (the accessibility rules) come from npm into the
build folder, once. Screenshots of the run stay in TERN_TMP.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

from web_fake_server import SOURCE, security_policy

PACKAGES = {"playwright-core": "1.65.1", "axe-core": "4.14.1"}
KEY = "a-key-for-the-test"
HERE = pathlib.Path(__file__).resolve().parent
TMP = pathlib.Path(os.environ["TERN_TMP"])


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def program(name):
    return shutil.which(name) or skip(f"{name} is not installed (Debian: apt-get install chromium nodejs npm)")


def npm_folder(npm):
    """The folder with the packages; they outlive the run."""
    folder = TMP.parent / "web_page_npm"
    versions = "\n".join(f"{name}@{version}" for name, version in PACKAGES.items())
    stamp = folder / "installed"
    if stamp.is_file() and stamp.read_text() == versions:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"private": true}\n')
    done = subprocess.run([npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder),
                           *versions.split("\n")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout)
        skip("npm could not install " + versions.replace("\n", " and "))
    stamp.write_text(versions)
    return folder


def check_syntax(node):
    """node --check of every script, as the module that it is."""
    for script in sorted((SOURCE / "web").glob("*.js")):
        module = TMP / (script.stem + ".mjs")
        shutil.copyfile(script, module)
        subprocess.run([node, "--check", str(module)], check=True)


class Server:
    """A program that says where it listens on its stderr, which is read to its end."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            found = re.search(r"listening on (http://127\.0\.0\.1:\d+)$", line.rstrip())
            if found:
                self.url = found.group(1) + "/"
                break
        else:
            raise AssertionError(f"{command}: exit code {self.process.wait()}")
        self.reader = threading.Thread(target=self.process.stderr.read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self.url

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()


def fake_server(*arguments):
    return Server(sys.executable, str(HERE / "web_fake_server.py"), *arguments)


def tern_server(*arguments):
    model = pathlib.Path(os.environ["TERN_SOURCE_DIR"]) / "models" / "tern-stories.gguf"
    return Server(os.environ["TERN"], "serve", "-m", str(model), "--port", "0", "--ctx", "20000", *arguments)


def main(serve):
    """The exit code of all checks against servers that serve(arguments...) starts."""
    chromium, node, npm = (program(name) for name in ("chromium", "node", "npm"))
    check_syntax(node)
    with serve() as url, serve("--api-key", KEY) as key_url:
        environment = {**os.environ, "WEB_CHROMIUM": chromium, "WEB_PACKAGES": str(npm_folder(npm)), "WEB_URL": url,
                       "WEB_KEY_URL": key_url, "WEB_KEY": KEY, "WEB_POLICY": security_policy()}
        return subprocess.run([node, str(HERE / "web" / "all.mjs")], env=environment, check=False).returncode


if __name__ == "__main__":
    # WEB_SERVER=tern: the program itself, which needs the page's routes and /metrics.
    sys.exit(main(tern_server if os.environ.get("WEB_SERVER") == "tern" else fake_server))
