"""A wall clock that a test sets for one program, as somebody who sets the machine's does. libfaketime does the same, but a
Swift program that it is loaded into does not find its arguments."""
import os
import subprocess


class WallClock:
    """`environment` is for the program; `set` takes effect at once."""

    def __init__(self, case):
        case.needs_program("cc")
        folder = case.folder()
        library = os.path.join(folder, "clock.so")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        self.path = os.path.join(folder, "clock")
        self.environment = {"LD_PRELOAD": library, "GODWIT_TEST_CLOCK": self.path}
        self.set(0)

    def set(self, seconds):
        """The clock is so many seconds before the machine's."""
        with open(self.path + ".new", "w") as file:
            file.write("%d\n" % seconds)
        os.rename(self.path + ".new", self.path)
