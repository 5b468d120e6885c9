"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gdfusion_ros.files import written_whole

OTHER = """
import sys
from pathlib import Path
from gdfusion_ros.files import written_whole

with written_whole(Path(sys.argv[1])) as draft:
    draft.write_text('theirs')
"""


def test_two_processes_may_write_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / 'table.md'
    with written_whole(path) as draft:
        draft.write_text('ours')
        subprocess.run([sys.executable, '-c', OTHER, str(path)], check=True)
        assert path.read_text() == 'theirs'
    assert path.read_text() == 'ours'
    assert list(tmp_path.iterdir()) == [path]
