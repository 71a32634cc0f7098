"""Path of Chromium: the system's, or Playwright's download. As a script, the exit status says whether there is one."""

import shutil
import sys
from pathlib import Path


def find_chromium() -> str | None:
    for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.executable_path
    return found if Path(found).is_file() else None


if __name__ == "__main__":
    sys.exit(find_chromium() is None)
