"""The page as a browser draws it, where one is installed: the script runs, and no label covers another."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pld_search.report.page import page
from pld_search.report.page_facts import PageFacts

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# sorts the first table by its third column, filters it, and writes down which texts of a picture overlap
LOOK = """
<script>
const found = [], table = document.querySelector('#systems table');
for (const svg of document.querySelectorAll('svg')) {
  const boxes = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
  boxes.forEach(([one, a], index) => boxes.slice(index + 1).forEach(([other, b]) => {
    if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3) found.push(`${one}|${other}`);
  }));
}
table.querySelectorAll('th')[2].click();
const sorted = [...table.tBodies[0].rows].map(row => row.cells[2].firstChild.textContent);
const input = document.querySelector('#systems input');
input.value = 'rising'; input.dispatchEvent(new Event('input'));
const left = [...table.tBodies[0].rows].filter(row => !row.hidden).map(row => row.dataset.row);
const mark = document.querySelector('#cost g.mark');
mark.dispatchEvent(new MouseEvent('click', { bubbles: true, clientX: 5, clientY: 5 }));
const said = { overlaps: found, sorted, left, tip: document.querySelector('#tip').textContent,
  titles: document.querySelectorAll('[title], g.mark > title').length };
document.body.innerHTML = '<pre id="said"></pre>'; document.querySelector('#said').textContent = JSON.stringify(said);
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_script_and_labels(large: PageFacts, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page(PageFacts.of(large.view)).replace("</body>", LOOK + "</body>"))
    done = subprocess.run(
        [
            str(CHROMIUM),
            *FLAGS,
            f"--user-data-dir={tmp_path / 'user'}",
            "--window-size=1400,4000",
            "--dump-dom",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    match = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match is not None
    said = json.loads(html.unescape(match.group(1)))
    assert said["overlaps"] == []
    numbers = [float(text) for text in said["sorted"] if text != "–"]
    assert len(numbers) > 10
    assert numbers == sorted(numbers)
    assert said["sorted"][-1] == "–"
    rising = [row.label for row in large.sampled if row.params["schedule"] == "rising"]
    assert sorted(said["left"]) == sorted(rising)
    assert "valid/loss" in said["tip"]
    assert said["titles"] == 0
