/// The steps of a compiled regular expression.
struct RE2Program: Sendable, Hashable {
    enum Step: Sendable, Hashable {
        case scalar(UInt32)
        case oneOf(RE2Class)
        case assertion(RE2Assertion)
        /// Continues at both; the first is preferred.
        case fork(Int, Int)
        case jump(Int)
        /// Remembers the position.
        case save(Int)
        case match
    }

    /// Most steps of a program, so that nested repetitions cannot grow beyond measure.
    static let stepLimit = 10_000

    private(set) var steps: [Step] = []

    /// Compiles a tree; nil when the program would be too large.
    init?(_ node: RE2Node) {
        guard append(.capture(node, index: 0)) else { return nil }
        steps.append(.match)
    }

    /// Appends the steps of `node`; false when there are too many.
    private mutating func append(_ node: RE2Node) -> Bool {
        guard steps.count < RE2Program.stepLimit else { return false }
        switch node {
        case .empty: break
        case .oneOf(let set):
            if set.ranges.count == 1, set.categories.isEmpty, set.complements.isEmpty, !set.isNegated, !set.foldsCase,
                set.ranges[0].count == 1
            {
                steps.append(.scalar(set.ranges[0].lowerBound))
            } else {
                steps.append(.oneOf(set))
            }
        case .assertion(let assertion): steps.append(.assertion(assertion))
        case .sequence(let nodes): for node in nodes where !append(node) { return false }
        case .alternatives(let branches): return append(branches: branches)
        case .capture(let node, let index):
            steps.append(.save(index * 2))
            guard append(node) else { return false }
            steps.append(.save(index * 2 + 1))
        case .loop(let node, let least, let most, let isLazy):
            for _ in 0..<least where !append(node) { return false }
            guard let most else { return append(endless: node, isLazy) }
            return append(node, atMost: most - least, isLazy)
        }
        return steps.count < RE2Program.stepLimit
    }

    private mutating func append(branches: [RE2Node]) -> Bool {
        var ends: [Int] = []
        for (index, branch) in branches.enumerated() {
            let isLast = index == branches.count - 1
            let fork = steps.count
            if !isLast { steps.append(.fork(fork + 1, 0)) }
            guard append(branch) else { return false }
            guard !isLast else { break }
            ends.append(steps.count)
            steps.append(.jump(0))
            steps[fork] = .fork(fork + 1, steps.count)
        }
        for end in ends { steps[end] = .jump(steps.count) }
        return true
    }

    private mutating func append(endless node: RE2Node, _ isLazy: Bool) -> Bool {
        let fork = steps.count
        steps.append(.fork(0, 0))
        guard append(node) else { return false }
        steps.append(.jump(fork))
        steps[fork] = isLazy ? .fork(steps.count, fork + 1) : .fork(fork + 1, steps.count)
        return true
    }

    /// Up to `count` further turns, each inside the one before.
    private mutating func append(_ node: RE2Node, atMost count: Int, _ isLazy: Bool) -> Bool {
        var forks: [Int] = []
        for _ in 0..<count {
            forks.append(steps.count)
            steps.append(.fork(0, 0))
            guard append(node) else { return false }
        }
        for fork in forks { steps[fork] = isLazy ? .fork(steps.count, fork + 1) : .fork(fork + 1, steps.count) }
        return true
    }
}
