"""Measure what telemetry adds to a submission: without OpenTelemetry, with its API alone, and with its SDK.

Each variant runs in processes of its own, in turns. A submission is sent over HTTP to an emulator in this process, and
recorded in a store on the disk, as commands do.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
import time

from coatcheck.testing import FakeClock, serving
from coatcheck.testing.emulators.jules import JulesEmulator

# CPU time is only ever added to by what else runs, so the least of the rounds is compared.
ROUNDS, SUBMISSIONS = 7, 100
# Goal: a submission with the SDK takes at most 1.03 times one without.
GOAL = 1.03


def use_sdk() -> None:
    """Register the SDK with a batch of spans, as applications do."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    trace.set_tracer_provider(provider)


VARIANTS = {
    "without": lambda: None,
    "with the API": lambda: importlib.import_module("opentelemetry.trace"),
    "with the SDK": use_sdk,
}


def submit(variant: str, url: str, token: str) -> None:
    """Print the CPU time of a submission in milliseconds."""
    VARIANTS[variant]()
    from coatcheck import Client
    from coatcheck._store.journal import SubmissionJournal
    from coatcheck.providers.jules.endpoints import Service
    from coatcheck.providers.jules.provider import JulesProvider

    with tempfile.TemporaryDirectory() as folder:
        client = Client(
            JulesProvider(Service(url)),
            token=token,
            journal=SubmissionJournal.at(folder),
            clock=FakeClock(),  # so that the pauses between submissions that the service requires take no time
            environ={"COATCHECK_LEARN": "off"},
        )
        client.create_task("warm up", repository="owner/repo")
        began = time.process_time()
        for number in range(SUBMISSIONS):
            client.create_task(f"Add dark mode {number}", repository="owner/repo")
        print((time.process_time() - began) / SUBMISSIONS * 1000)


def main() -> None:
    """Print the ratios."""
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    emulator = JulesEmulator(clock=FakeClock())
    with serving(emulator) as url:
        for _ in range(ROUNDS):
            for name, samples in times.items():
                command = [sys.executable, __file__, name, url, emulator.token]
                result = subprocess.run(command, check=True, capture_output=True, text=True)
                samples.append(float(result.stdout))
    best = {name: min(samples) for name, samples in times.items()}
    for name, value in best.items():
        print(f"{name:14} {value:6.3f} ms CPU a submission, {value / best['without']:.3f} x")
    print(f"goal: with the SDK at most {GOAL} x")


if __name__ == "__main__":
    submit(*sys.argv[1:]) if len(sys.argv) > 1 else main()
