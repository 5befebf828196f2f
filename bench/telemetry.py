"""Measure what telemetry adds to a submission: with OpenTelemetry's API alone, and with its SDK and a batch of spans.

In one process for each, blocks of submissions with telemetry alternate with blocks in which coatcheck does not find
OpenTelemetry, so that what else runs on the machine disturbs both. What telemetry adds is CPU time of the process; it is
compared with how long a submission takes. A submission is sent over HTTP to an emulator in another process, and recorded
in a store on the disk, as commands do.
"""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
import tempfile
import time

from coatcheck.testing import FakeClock, serving
from coatcheck.testing.emulators.jules import JulesEmulator

BLOCKS, SUBMISSIONS = 20, 10
# Goal: the SDK adds at most so much to a submission, and the API alone nothing that can be measured.
GOAL = 0.03


def use_sdk() -> None:
    """Register the SDK with a batch of spans, as applications do."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    trace.set_tracer_provider(provider)


VARIANTS = {"with the API": lambda: importlib.import_module("opentelemetry.trace"), "with the SDK": use_sdk}


def submit(variant: str, url: str, token: str) -> None:
    """Print the CPU time of a submission with telemetry and without, and how long one takes, in milliseconds."""
    VARIANTS[variant]()
    from coatcheck import Client
    from coatcheck._runtime import telemetry
    from coatcheck._store.journal import SubmissionJournal
    from coatcheck.providers.jules.endpoints import Service
    from coatcheck.providers.jules.provider import JulesProvider

    finders = {"with": telemetry._trace, "without": lambda: None}  # noqa: SLF001 - what finds OpenTelemetry
    durations: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in finders}
    with tempfile.TemporaryDirectory() as folder:
        client = Client(
            JulesProvider(Service(url)),
            token=token,
            journal=SubmissionJournal.at(folder),
            clock=FakeClock(),  # so that the pauses between submissions that the service requires take no time
            environ={"COATCHECK_LEARN": "off"},
        )
        for block in range(BLOCKS + 1):
            for name, find in finders.items():
                telemetry._trace = find  # noqa: SLF001 - as above
                start, began = time.perf_counter(), time.process_time()
                for number in range(SUBMISSIONS):
                    client.create_task(f"Add dark mode {block}.{number}", repository="owner/repo")
                times[name].append((time.process_time() - began) / SUBMISSIONS * 1000)
                durations.append((time.perf_counter() - start) / SUBMISSIONS * 1000)
    print(*(statistics.median(each[1:]) for each in (*times.values(), durations)))


def main() -> None:
    """Print the times and the ratios."""
    emulator = JulesEmulator(clock=FakeClock())
    with serving(emulator) as url:
        for name in VARIANTS:
            command = [sys.executable, __file__, name, url, emulator.token]
            result = subprocess.run(command, check=True, capture_output=True, text=True)
            used, alone, duration = map(float, result.stdout.split())
            share = (used - alone) / duration
            print(f"{name}: {used - alone:+.3f} ms of CPU, {share:.1%} of a submission of {duration:.1f} ms")
    print(f"goal: with the SDK at most {GOAL:.0%}")


if __name__ == "__main__":
    submit(*sys.argv[1:]) if len(sys.argv) > 1 else main()
