"""Tests in one program with many mutants in it: run for one mutant at a time, until the first test fails."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutant import Mutant, TestsFail
from working_copy import OUT

# In bytes. A mutant that allocates without end is to end before the machine does.
MEMORY = 8 << 30


class DoesNotCompile(Exception):
    """The compiler's errors, in its JSON."""

    def __init__(self, errors: list[dict]) -> None:
        super().__init__("".join(error["rendered"] for error in errors))
        self.errors = errors


def build(copy: Path, arguments: str, variables: dict[str, str]) -> dict[str, Path]:
    """Builds the tests that the arguments name. Returns each program by its name."""
    run = subprocess.run(
        f"cargo test {arguments} --no-run --locked --message-format=json".split(),
        cwd=copy,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        check=False,
    )
    messages = [json.loads(line) for line in run.stdout.splitlines()]
    errors = [one["message"] for one in messages if one["reason"] == "compiler-message"]
    errors = [error for error in errors if error["level"] == "error"]
    if run.returncode:
        raise DoesNotCompile(errors)
    # The next build would overwrite them.
    return {
        one["target"]["name"]: Path(shutil.copy(one["executable"], OUT / f"tests-{one['target']['name']}"))
        for one in messages
        if one.get("executable")
    }


@dataclass
class Tests:
    """One program, and how it is run."""

    program: Path
    arguments: Sequence[str]
    folder: Path
    # In seconds, without a mutant.
    time: float = 0.0

    def __str__(self) -> str:
        return " ".join([self.program.name, *self.arguments])

    def run(self, limit: float, variables: dict[str, str]) -> str:
        """Returns what failed, or nothing if all tests passed in time."""
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
        with subprocess.Popen(
            [self.program, *self.arguments],
            cwd=self.folder,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            # With what it starts itself, it is a group of processes that can be ended.
            start_new_session=True,
        ) as process:
            late = threading.Event()

            def end() -> None:
                late.set()
                os.killpg(process.pid, signal.SIGKILL)

            timer = threading.Timer(limit, end)
            timer.start()
            failed = ""
            assert process.stdout
            for line in process.stdout:
                if match := re.match(r"test (.*) \.\.\. FAILED$", line):
                    failed = match[1]
                    os.killpg(process.pid, signal.SIGKILL)
                    break
            status = process.wait()
            timer.cancel()
        if late.is_set():
            return "the time limit"
        return failed or (f"the end of the process ({status})" if status else "")

    def measure(self) -> None:
        """Runs the tests on the unchanged code."""
        start = time.monotonic()
        if failed := self.run(600, {}):
            raise TestsFail(f"{self.program.name} fails without a mutant: {failed}")
        self.time = time.monotonic() - start

    def prepare(self, asked: Path) -> None:
        """The same; appends which mutants they ask for to `asked`."""
        self.measure()
        self.run(600, {"ASKED": str(asked)})

    def limit(self) -> float:
        """Returns after how many seconds a test is taken for one that never ends."""
        return 10 + 3 * self.time

    def survivors(self, mutants: Sequence[Mutant], numbers: dict[str, int], jobs: int) -> list[Mutant]:
        """Returns the mutants that no test fails on, and prints what killed the others."""
        def kills(mutant: Mutant) -> str:
            # The tests' own limit is for a quick machine.
            variables = {"MUTANT": str(numbers[mutant.key]), "SEMAFAIR_LIMIT": "600"}
            killed = self.run(self.limit(), variables)
            print(f"{mutant}: {f'killed by {killed}' if killed else 'survived'}", flush=True)
            return killed

        with ThreadPoolExecutor(jobs) as pool:
            return [
                mutant
                for mutant, killed in zip(mutants, pool.map(kills, mutants), strict=True)
                if not killed
            ]
