/// Follows all ways through a program at once (a Pike machine), in order of preference.
///
/// Cost: steps × characters a search. All searches of one matcher together read at most `workLimit` characters for each
/// of the text, so that a replacement cannot become quadratic.
struct RE2Matcher {
    private static let workLimit = 64

    private let program: RE2Program
    private let text: [UInt32]
    private let slots: Int
    private var work: Int
    private var current: Ways
    private var following: Ways
    private var waiting: [(step: Int, saved: [Int])] = []

    /// The ways that are alive at one place: steps in order of preference, each with what it has remembered.
    private struct Ways {
        var steps: [Int] = []
        var saved: [[Int]] = []
        private var isEntered: [Bool]
        private var entered: [Int] = []

        init(count: Int) { isEntered = Array(repeating: false, count: count) }

        /// False for a step that is reached already, by a way that is preferred.
        mutating func enter(_ step: Int) -> Bool {
            guard !isEntered[step] else { return false }
            isEntered[step] = true
            entered.append(step)
            return true
        }

        mutating func removeAll() {
            for step in entered { isEntered[step] = false }
            entered.removeAll(keepingCapacity: true)
            steps.removeAll(keepingCapacity: true)
            saved.removeAll(keepingCapacity: true)
        }
    }

    /// `slots`: places to remember, two a group and two for the whole; 0 when only the fact counts.
    init(_ program: RE2Program, slots: Int, _ text: [UInt32]) {
        self.program = program
        self.slots = slots
        self.text = text
        work = text.count.addingSaturated(1_024).multipliedSaturated(by: RE2Matcher.workLimit)
        current = Ways(count: program.steps.count)
        following = Ways(count: program.steps.count)
    }

    /// The leftmost match that begins at `start` or later: begin and end of the whole and of each group, −1 for none.
    mutating func find(from start: Int) -> [Int]? {
        var found: [Int]?
        var position = start
        current.removeAll()
        while true {
            if found == nil { add(0, Array(repeating: -1, count: slots), at: position, toCurrent: true) }
            guard found == nil || !current.steps.isEmpty, work > 0 else { return found }
            work -= 1
            following.removeAll()
            let scalar = position < text.count ? text[position] : nil
            ways: for index in current.steps.indices {
                let step = current.steps[index]
                switch program.steps[step] {
                case .scalar(let wanted):
                    if scalar == wanted { advance(step, index, position) }
                case .oneOf(let set):
                    if let scalar, set.contains(scalar) { advance(step, index, position) }
                case .match:
                    found = current.saved[index]
                    // What is preferred less than this match is given up.
                    if slots == 0 { return found }
                    break ways
                case .assertion, .fork, .jump, .save: break
                }
            }
            guard scalar != nil else { return found }
            swap(&current, &following)
            position += 1
        }
    }

    private mutating func advance(_ step: Int, _ index: Int, _ position: Int) {
        add(step + 1, current.saved[index], at: position + 1, toCurrent: false)
    }

    /// Adds a step and all that is reached from it without reading a character, in order of preference.
    private mutating func add(_ step: Int, _ saved: [Int], at position: Int, toCurrent: Bool) {
        waiting.append((step, saved))
        while let (step, saved) = waiting.popLast() {
            guard toCurrent ? current.enter(step) : following.enter(step) else { continue }
            switch program.steps[step] {
            case .jump(let target): waiting.append((target, saved))
            case .fork(let first, let second):
                waiting.append((second, saved))
                waiting.append((first, saved))
            case .save(let slot):
                var saved = saved
                if slot < slots { saved[slot] = position }
                waiting.append((step + 1, saved))
            case .assertion(let assertion):
                let before = position > 0 ? text[position - 1] : nil
                let after = position < text.count ? text[position] : nil
                if assertion.holds(before: before, after: after) { waiting.append((step + 1, saved)) }
            case .scalar, .oneOf, .match:
                if toCurrent {
                    current.steps.append(step)
                    current.saved.append(saved)
                } else {
                    following.steps.append(step)
                    following.saved.append(saved)
                }
            }
        }
    }
}
