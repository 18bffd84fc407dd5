"""A host with thousands of everything: the cost grows with their number and no faster."""
from support import scale
from support.case import EndToEnd, takes

#: Four times as many may cost this many times as much: no square (16), with room for a busy machine.
MOST = 7


class Linear(EndToEnd):
    """CPU of the whole agent a tick, at a size and at four times that size."""

    def check(self, kind):
        _, _, sizes = scale.KINDS[kind]
        small, large = sizes[1], sizes[3]
        self.assertEqual(large, 4 * small)
        for _ in range(3):
            nothing = scale.cost(kind, 0, 15)
            costs = [max(0.001, scale.cost(kind, size, 15) - nothing) for size in (small, large)]
            ratio = costs[1] / costs[0]
            print("  %d %s: %.2f ms a tick, %d: %.2f ms, %.1f times; %.2f us each" % (
                small, kind, costs[0], large, costs[1], ratio, costs[1] * 1000 / large))
            if ratio <= MOST:
                return
        self.fail("four times as many %s cost %.1f times as much, three times in a row" % (kind, ratio))

    @takes(15)
    def test_processes(self):
        self.check("processes")

    @takes(15)
    def test_mounts(self):
        self.check("mounts")

    @takes(15)
    def test_interfaces(self):
        self.check("interfaces")

    @takes(15)
    def test_disks(self):
        self.check("disks")
