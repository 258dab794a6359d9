"""Takes the pictures of the README: Dagster and the pages of a run, in a real browser.

Run `make run` first, then `make screenshots`. Uses the Chromium of the machine and downloads none.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from orchestration.settings import Settings

PICTURES = Path(__file__).parent / "images"
PORT = 3999
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


def main() -> None:
    settings = Settings.from_env()
    settings.prepare()
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        sys.exit("no Chromium on this machine: install Debian's package chromium")
    PICTURES.mkdir(parents=True, exist_ok=True)
    dagster = subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", "ui", "--port", str(PORT)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            take_files(page, settings)
            wait_for_port(PORT)
            take_dagster(page)
            browser.close()
    finally:
        os.killpg(dagster.pid, 15)


def take_files(page: Page, settings: Settings) -> None:
    for name, file, width in (
        ("report", "latest.html", 1100),
        ("report-phone", "latest.html", 390),
        ("journey-map", "journey_map.html", 1400),
        ("validation", "validation.html", 1100),
    ):
        page.set_viewport_size({"width": width, "height": 1400 if width > 500 else 844})
        page.goto((settings.reports / file).resolve().as_uri())
        page.screenshot(path=PICTURES / f"{name}.png")


def take_dagster(page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    base = f"http://127.0.0.1:{PORT}"
    for name, path in (
        ("dagster-lineage", "/asset-groups"),
        ("dagster-runs", "/runs"),
        ("dagster-customer-360", "/assets/marts/customer_360"),
    ):
        page.goto(base + path)
        page.wait_for_load_state("networkidle")
        time.sleep(4)  # the graph is laid out after the network has gone quiet
        page.screenshot(path=PICTURES / f"{name}.png")


def wait_for_port(port: int, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    sys.exit(f"Dagster did not open port {port} within {seconds:.0f} s")


if __name__ == "__main__":
    main()
