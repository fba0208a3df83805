"""Given code in real executors: what it may do, and what ends it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.darwin_genome import Corpus, Example
from tasks.darwin_metrics import Metric
from tasks.errors import Cancelled, PermanentFailure
from tasks.python_execute import Limits, Request, Result
from tests.e2e.debian import base_tar
from tests.e2e.engine import DockerEngine
from tests.support import wait_until
from worker.handlers import darwin_own
from worker.sandbox.docker import LABEL, remove_leftovers
from worker.sandbox.execute import execute, probe_executors
from worker.settings import WorkerSettings

OWNER = "test-worker"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def docker() -> Iterator[str]:
    """A Docker Engine with the sandbox's image; its address."""
    folder = Path(tempfile.mkdtemp(prefix="d8-", dir="/tmp"))
    engine = DockerEngine(folder)
    client = engine.client()
    with base_tar().open("rb") as tar:
        client.api.import_image_from_data(tar.read(), repository="d8-sandbox", tag="latest")
    client.close()
    yield engine.socket_url
    engine.stop()


@pytest.fixture(params=["native", "venv", pytest.param("docker", marks=pytest.mark.services)])
def executor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name = str(request.param)
    if name == "docker":
        monkeypatch.setenv("DOCKER_HOST", request.getfixturevalue("docker"))
    return name


@pytest.fixture
def settings(d8_home: Path) -> WorkerSettings:
    return WorkerSettings(executors="docker venv native")


@pytest.fixture
def run(settings: WorkerSettings, executor: str) -> Run:
    def run_it(code: str, *, inputs: dict[str, Any] | None = None, **limits: Any) -> Result:
        given = Limits(**{"seconds": 20, **limits})
        request = Request(code=code, inputs=inputs or {}, executor=executor, trusted=True, limits=given)
        return execute(request, settings, OWNER, lambda _: None)

    return run_it


def test_code_gets_inputs_and_gives_outputs(run: Run, executor: str) -> None:
    result = run("print('hello'); outputs = {'sum': sum(inputs['n'])}", inputs={"n": [1, 2, 3]})
    assert (result.outputs, result.stdout, result.executor) == ({"sum": 6}, "hello\n", executor)
    assert not result.stdout_truncated


def test_code_that_raises_fails_with_its_own_traceback(run: Run) -> None:
    with pytest.raises(PermanentFailure, match=r"line 2, in <module>(?s:.*)ZeroDivisionError"):
        run("x = 0\n1 / x")


def test_code_that_leaves_no_dict_is_told_so(run: Run) -> None:
    with pytest.raises(PermanentFailure, match="outputs has to be a dict"):
        run("outputs = [1]")


def test_endless_loop_is_ended_at_its_limit(run: Run) -> None:
    with pytest.raises(
        PermanentFailure, match=r"longer than its limit of 1 s|status -9|status -24|status 137"
    ):
        run("while True: pass", seconds=1)


def test_sleeping_code_is_ended_at_its_limit(run: Run) -> None:
    with pytest.raises(PermanentFailure, match="longer than its limit of 1 s"):
        run("import time; time.sleep(600)", seconds=1)


def test_hungry_code_is_ended_with_the_limit_named(run: Run) -> None:
    with pytest.raises(PermanentFailure, match="more than its limit of 128 MiB of memory"):
        run("held = [b'x' * 2**20 for _ in range(1000)]", memory_mib=128)


def test_flood_of_output_is_cut_and_what_comes_after_is_found(run: Run) -> None:
    result = run("print('x' * 300_000); outputs = {'n': 1}", output_bytes=1024)
    assert result.outputs == {"n": 1}
    assert len(result.stdout) == 1024
    assert result.stdout_truncated


def test_endless_flood_is_ended(run: Run) -> None:
    with pytest.raises(PermanentFailure, match=r"printed more than|longer than its limit"):
        run("while True: print('x' * 65536)", seconds=15)


def test_outputs_that_are_too_large_are_refused(run: Run) -> None:
    with pytest.raises(PermanentFailure, match="1024 are allowed"):
        run("outputs = {'text': 'x' * 5000}", output_bytes=1024)


def test_code_that_kills_its_own_process_is_a_failure_of_its_own(run: Run) -> None:
    with pytest.raises(PermanentFailure, match=r"ended its own process|limit of 256 MiB"):
        run("import os; os._exit(7)")


def test_cancelled_code_is_ended_with_all_that_it_started(settings: WorkerSettings, executor: str) -> None:
    def cancel(share: float) -> None:
        if share > 0.005:
            raise Cancelled("the run was cancelled")

    code = "import subprocess; subprocess.Popen(['sleep', '987654']); import time; time.sleep(600)"
    request = Request(code=code, executor=executor, trusted=True, limits=Limits(seconds=300))
    with pytest.raises(Cancelled):
        execute(request, settings, OWNER, cancel)

    def commands() -> str:
        return subprocess.run(["ps", "ax"], check=True, capture_output=True, text=True).stdout

    wait_until(lambda: "987654" not in commands(), 20, "all of it ended")


def test_workers_secrets_are_not_in_the_codes_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("D8_WORKER_TOKEN", "very-secret")
    result = run("import os; outputs = {'names': sorted(os.environ)}")
    assert not [name for name in result.outputs["names"] if name.startswith("D8_")]


def test_only_executors_that_work_are_reported(
    settings: WorkerSettings, executor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert executor in probe_executors(settings, OWNER)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert probe_executors(settings, OWNER) == ("venv", "native")


@pytest.mark.services
class TestInDocker:
    """What only Docker's walls keep out."""

    @pytest.fixture
    def ask(self, docker: str, settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch) -> Run:
        monkeypatch.setenv("DOCKER_HOST", docker)

        def ask_it(code: str, **limits: Any) -> Result:
            request = Request(code=code, limits=Limits(**{"seconds": 20, **limits}))
            return execute(request, settings, OWNER, lambda _: None)

        return ask_it

    def test_a_metric_that_nobody_vouched_for_scores_answers_here(
        self, docker: str, d8_home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DOCKER_HOST", docker)
        monkeypatch.setenv("D8_EXECUTORS", "docker")
        darwin_own._settings.cache_clear()
        source = (
            b"import os\ndef metric(expected, answer):\n"
            b"    return float(os.getuid() == 65534 and answer == expected)"
        )
        digest = hashlib.sha256(source).hexdigest()
        context: Any = SimpleNamespace(
            worker=OWNER, read_artifact={digest: source}.__getitem__, progress=lambda *_: None
        )
        example = Example(input="capital of France?", expected="Paris", split="selection")
        answers = [(0, "Paris"), (0, "Rome")]
        try:
            found = darwin_own.run_own(
                Metric(name="own", source=digest),
                Corpus(kind="answer", examples=(example,)),
                answers,
                context,
            )
        finally:
            darwin_own._settings.cache_clear()
        assert found == [1.0, 0.0]

    def test_there_is_no_network(self, ask: Run) -> None:
        code = (
            "import socket\nnames = [n for _, n in socket.if_nameindex()]\n"
            "try:\n    socket.create_connection(('192.0.2.1', 80), 2); reached = True\n"
            "except OSError: reached = False\noutputs = {'names': names, 'reached': reached}"
        )
        assert ask(code).outputs == {"names": ["lo"], "reached": False}

    def test_nothing_can_be_written_but_the_small_folder(self, ask: Run) -> None:
        code = (
            "import os\nfailed = []\n"
            "for place in ('/x', '/etc/x', '/usr/x', '/var/tmp/x', '/dev/shm/x'):\n"
            "    try: open(place, 'w').write('x')\n    except OSError: failed.append(place)\n"
            "open('/tmp/x', 'w').write('x')\noutputs = {'failed': failed}"
        )
        assert len(ask(code).outputs["failed"]) >= 4
        with pytest.raises(PermanentFailure, match="No space left"):
            ask("open('/tmp/x', 'wb').write(b'x' * 100 * 2**20)")

    def test_it_is_not_root_and_has_no_capabilities(self, ask: Run) -> None:
        code = (
            "import os\nstatus = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
            "outputs = {'uid': os.getuid(), 'caps': status['CapEff'].strip(), 'new': status['NoNewPrivs'].strip(),"
            " 'seccomp': status['Seccomp'].strip()}"
        )
        found = ask(code).outputs
        assert found == {"uid": 65534, "caps": "0" * 16, "new": "1", "seccomp": "2"}

    def test_fork_bomb_ends_at_its_limit(self, ask: Run) -> None:
        code = (
            "import os\nmade = 0\ntry:\n"
            "    while made < 500:\n        if os.fork() == 0:\n            import time; time.sleep(60); os._exit(0)\n"
            "        made += 1\nexcept OSError: pass\noutputs = {'made': made}"
        )
        assert ask(code, pids=20).outputs["made"] < 20

    def test_engine_is_out_of_reach(self, ask: Run) -> None:
        assert ask("import os; outputs = {'there': os.path.exists('/var/run/docker.sock')}").outputs == {
            "there": False
        }

    def test_untrusted_code_never_runs_elsewhere(self, settings: WorkerSettings, tmp_path: Path) -> None:
        mark = tmp_path / "mark"
        request = Request(code=f"open({str(mark)!r}, 'w')", executor="native")
        with pytest.raises(PermanentFailure, match="only run in Docker"):
            execute(request, settings, OWNER, lambda _: None)
        assert not mark.exists()

    def test_nothing_is_left_of_a_run_and_leftovers_of_a_killed_worker_go(
        self, ask: Run, docker: str
    ) -> None:
        ask("outputs = {}")

        def listed() -> list[str]:
            command = ["docker", "ps", "-aq", "--filter", f"label={LABEL}={OWNER}"]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

        assert listed() == []
        subprocess.run(
            [
                "docker",
                "run",
                "-d",
                "--network",
                "none",
                "--label",
                f"{LABEL}={OWNER}",
                "d8-sandbox",
                "sleep",
                "600",
            ],
            check=True,
            capture_output=True,
            env={**os.environ, "DOCKER_HOST": docker},
        )
        assert remove_leftovers(OWNER) == 1
        assert listed() == []
