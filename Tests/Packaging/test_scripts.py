#!/usr/bin/env python3
"""The scripts that judge: `scripts/check` finds what is planted and nothing else; `scripts/summarise` counts right."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLEAN = '''import Pipeline
/* a comment: import Foundation, try! /* nested */ value! */
struct Clean {
    let text = "Task { } and value! and sleep(1) \\(isOpen ? "yes!" : "no!") // not a comment"
    let raw = #"a "quoted!" word\\#(1)"#, block = """
        try! in a "literal!" \\(text)
        """
    func run(clock: any Clock) async throws { try await clock.sleep(for: .seconds(1)); if !done, a != b, !c! = d {} }
    // MyTask { } Date()
}
'''.replace(", !c! = d", "")


class CheckTests(unittest.TestCase):
    def check(self, files):
        """Runs the check on a tree of these files: the broken rules' printed lines."""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "Sources").mkdir()
            for name, text in files.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            ran = subprocess.run(
                [sys.executable, ROOT / "scripts/check", "--root", root, "--binary", root / "none"],
                capture_output=True, text=True, check=False)
            broken = [line for line in ran.stdout.splitlines() if line.startswith("FAIL")]
            self.assertEqual(ran.returncode, 1 if broken else 0, ran.stdout + ran.stderr)
            return " ".join(broken), ran.stdout

    def breaks(self, rule, name, text, line=None):
        broken, output = self.check({name: text})
        self.assertEqual(broken.count("FAIL"), 1, output)
        self.assertIn(rule, broken)
        if line:
            self.assertIn(f"{name}:{line}:", output)

    def test_clean_code_breaks_nothing(self):
        broken, output = self.check({"Sources/Actors/Clean.swift": CLEAN})
        self.assertEqual(broken, "", output)

    def test_imports(self):
        for name, module in [
            ("Sources/Pipeline/A.swift", "Glibc"), ("Sources/Pipeline/A.swift", "Synchronization"),
            ("Sources/Actors/A.swift", "App"), ("Sources/Actors/A.swift", "TOMLKit"),
            ("Sources/App/A.swift", "FoundationEssentials"), ("Sources/Tool/A.swift", "CCurl"),
        ]:
            self.breaks("imports", name, f"import Swift\n@preconcurrency import {module}\n", line=2)
        self.breaks("imports", "Sources/App/A.swift", "internal import struct Foundation.Date\n", line=1)

    def test_unstructured_tasks(self):
        for text in ("Task {", "Task(priority: .low) {", "Task.detached {", "Task<Void, Never> {"):
            self.breaks("tasks", "Sources/Actors/A.swift", f"let task = {text} }}\n", line=1)
            broken, _ = self.check({"Sources/Actors/Supervise/SupervisorTasks.swift": f"let task = {text} }}\n"})
            self.assertEqual(broken, "")
        broken, _ = self.check({"Sources/Actors/A.swift": "var child: Task<Void, Never>?\ngroup.addTask { }\n"})
        self.assertEqual(broken, "")

    def test_clocks(self):
        for text in ("Date()", "Task.sleep(for: .seconds(1))", "usleep(5)", "sleep(1)"):
            self.breaks("clocks", "Sources/Actors/A.swift", f"\n\nlet x = {text}\n", line=3)
            broken, _ = self.check({"Sources/Actors/Runtime/A.swift": f"let x = {text}\n"})
            self.assertEqual(broken, "")

    def test_the_injected_clock_may_sleep(self):
        broken, _ = self.check({"Sources/Actors/A.swift": "await sleep(until: next)\ntry await clock.sleep(for: pause)\n"})
        self.assertEqual(broken, "")

    def test_force_unwraps(self):
        for text in ("value!", "f()!", "items[0]!.name", "try! f()", "f() as! Int", '"\\(value!)"', "map[\"k\"]!"):
            self.breaks("unwrap", "Sources/App/A.swift", f"let x = {text}\n", line=1)
        self.breaks("unwrap", "Sources/App/A.swift", "var x: Int!\n", line=1)

    def test_long_files(self):
        self.breaks("lines", "Sources/App/A.swift", "let x = 1\n" * 501)

    def test_machine_paths(self):
        self.breaks("paths", "docs/a.md", "see /wo" "rk/main/x\n", line=1)
        broken, _ = self.check({"docs/a.md": "see /var/lib/x/wo" "rk/y, network/x and /usr/bin\n"})
        self.assertEqual(broken, "")

    def test_unfinished_marks(self):
        self.breaks("unfinished", "Sources/App/A.swift", "// FIX" "ME: later\n", line=1)


class SummariseTests(unittest.TestCase):
    def summarise(self, stages):
        with tempfile.TemporaryDirectory() as folder:
            for name, (status, text) in stages.items():
                pathlib.Path(folder, f"{name}.status").write_text(f"{status}\n")
                pathlib.Path(folder, f"{name}.log").write_text(text)
            ran = subprocess.run([sys.executable, ROOT / "scripts/summarise", folder],
                                 capture_output=True, text=True, check=False)
            return ran.stdout.strip(), ran.returncode

    def test_own_closing_lines_add_up(self):
        self.assertEqual(
            self.summarise({"a": (0, "x\n3 passed, 0 failed\n"), "b": (0, "1 passed, 0 failed, 2 skipped\n")}),
            ("4 passed, 0 failed, 2 skipped", 0))

    def test_a_stage_without_counts_is_one_test(self):
        self.assertEqual(self.summarise({"a": (0, "built\n"), "b": (2, "broken\n")}),
                         ("1 passed, 1 failed, 0 skipped", 1))

    def test_a_failed_stage_that_counts_no_failure_adds_one(self):
        self.assertEqual(self.summarise({"a": (139, "9 passed, 0 failed\n")}), ("9 passed, 1 failed, 0 skipped", 1))

    def test_swift_testing_marks(self):
        log = (
            "\t Executed 0 tests, with 0 failures (0 unexpected) in 0.0 (0.0) seconds\n◇ Test run started.\n"
            '➜ Test "c" skipped: "no kernel"\n✘ Test "b" recorded an issue at T.swift:3:29: Expectation failed: x\n'
            '✔ Test "a failed thing" passed after 0.001 seconds.\n✘ Test "b" failed after 0.001 seconds with 1 issue.\n'
            '✔ Test "d" with 3 test cases passed after 0.001 seconds.\n✔ Test e() passed after 0.001 seconds.\n'
            "✘ Test run with 5 tests in 1 suite failed after 0.001 seconds with 1 issue.\n")
        self.assertEqual(self.summarise({"unit": (1, log)}), ("3 passed, 1 failed, 1 skipped", 1))

    def test_nothing_run_is_a_failure(self):
        self.assertEqual(self.summarise({}), ("0 passed, 0 failed, 0 skipped", 1))


if __name__ == "__main__":
    unittest.main()
