extension SupervisionPlan.Child {
    /// What follows the end of this run, when somebody asked for the end.
    var afterStop: SupervisionPlan.AfterStop? {
        if case .stopping(_, let next) = phase { return next }
        return stopRequest
    }
}

extension SupervisionPlan {
    func index(of run: Run) -> Int? {
        children.firstIndex { $0.policy.id == run.child && $0.run == run.number }
    }

    /// Puts a child that does not run at its beginning.
    mutating func enter(_ index: Int, now: Instant) {
        children[index].window.reset()
        children[index].backoff.reset()
        children[index].stopRequest = nil
        guard let parked = children[index].policy.parkedStart else {
            children[index].phase = .waiting
            return
        }
        // Once: a supervisor that begins again must not serve the sentence twice.
        children[index].policy.parkedStart = nil
        children[index].park = ParkSchedule(resumingAfter: parked.delay)
        children[index].onTrial = true
        children[index].lastError = parked.reason
        children[index].phase = .parked(until: now + parked.delay)
    }

    /// The failure rules: restart later, park, or give up.
    mutating func failed(
        _ index: Int, _ run: Run, _ error: String, now: Instant, using random: inout some RandomNumberGenerator
    ) -> [Action] {
        let ranFor = now - children[index].startedAt
        let id = children[index].policy.id
        children[index].lastError = error
        if ranFor >= RestartBackoff.stableAfter, children[index].onTrial {
            children[index].onTrial = false
            children[index].park.reset()
        }
        let exhausted = children[index].window.record(at: now)
        takeGroupAlong(index)
        if exhausted || children[index].onTrial {
            switch children[index].policy.whenExhausted {
            case .park:
                let delay = children[index].park.take()
                children[index].onTrial = true
                children[index].window.reset()
                children[index].backoff.reset()
                children[index].phase = .parked(until: now + delay)
                return [.park(child: id, error: error, delay: delay)]
            case .escalate:
                return giveUp(index, error)
            }
        }
        // A child that parks is its own fuse: counted here too, many of them would blow the supervisor's.
        if children[index].policy.whenExhausted == .escalate, window.record(at: now) { return giveUp(index, error) }
        let delay = children[index].backoff.next(ranFor: ranFor, using: &random)
        children[index].phase = .backingOff(until: now + delay)
        return [.restartLater(run, error: error, delay: delay)]
    }

    private mutating func giveUp(_ index: Int, _ error: String) -> [Action] {
        children[index].phase = .stopped
        failure = "\(children[index].policy.id) failed too often: \(error)"
        beginStop()
        return []
    }

    private mutating func takeGroupAlong(_ failed: Int) {
        let group: Range<Int>
        switch strategy {
        case .oneForOne: return
        case .oneForAll: group = children.indices
        case .restForOne: group = (failed + 1)..<children.count
        }
        for index in group where index != failed && children[index].isLive && children[index].afterStop == nil {
            requestStop(index, children[index].policy.restart == .temporary ? .rest : .startAgain)
        }
    }

    mutating func requestStop(_ index: Int, _ next: AfterStop) {
        if case .stopping(let until, let earlier) = children[index].phase {
            children[index].phase = .stopping(until: until, then: earlier == .removed ? .removed : next)
        } else {
            children[index].stopRequest = children[index].stopRequest == .removed ? .removed : next
        }
    }

    mutating func beginStop() {
        isStopping = true
        for index in children.indices {
            if children[index].isLive { requestStop(index, .rest) } else { children[index].phase = .stopped }
        }
    }

    /// The run of a child that was told to end is over.
    mutating func finish(_ index: Int, _ next: AfterStop) -> [Action] {
        children[index].stopRequest = nil
        switch next {
        case .removed:
            let id = children.remove(at: index).policy.id
            return [.removed(child: id)]
        case .rest: children[index].phase = .stopped
        case .startAgain: children[index].phase = isStopping ? .stopped : .waiting
        }
        return []
    }

    /// Starts and stops whatever may start and stop now.
    mutating func settle(now: Instant) -> [Action] {
        guard isActive else { return [] }
        var actions = cancelNext(now: now)
        if !isStopping { actions += startNext(now: now) }
        for index in children.indices where children[index].phaseChanged {
            children[index].phaseChanged = false
            children[index].since = now
        }
        if isStopping {
            if !children.contains(where: \.isLive) {
                isActive = false
                actions.append(.stopped(failure: failure))
            }
        } else if !hasSettled, !children.contains(where: \.isUnsettled) {
            hasSettled = true
            actions.append(.settled)
        }
        return actions
    }

    private mutating func cancelNext(now: Instant) -> [Action] {
        var actions: [Action] = []
        for index in children.indices.reversed() {
            guard let next = children[index].stopRequest else { continue }
            if stopOrder == .reversed, children.contains(where: \.isCancelled) { break }
            children[index].stopRequest = nil
            children[index].phase = .stopping(until: now + children[index].policy.stopTimeout, then: next)
            actions.append(.cancel(Run(child: children[index].policy.id, number: children[index].run)))
        }
        return actions
    }

    private mutating func startNext(now: Instant) -> [Action] {
        var actions: [Action] = []
        for index in children.indices where children[index].phase == .waiting && mayStart(index) {
            nextRun &+= 1
            children[index].run = nextRun
            children[index].startedAt = now
            children[index].phase = .starting(until: now + Self.readyTimeout)
            actions.append(.start(Run(child: children[index].policy.id, number: nextRun)))
        }
        return actions
    }

    private func mayStart(_ index: Int) -> Bool {
        for (other, sibling) in children.enumerated() where other != index {
            if other < index, sibling.isUnsettled { return false }
            switch (strategy, sibling.phase) {
            case (.oneForOne, _): break
            case (.oneForAll, .backingOff): return false
            case (.restForOne, .backingOff) where other < index: return false
            default: if sibling.isEnding { return false }
            }
        }
        return true
    }
}

extension SupervisionPlan.Child {
    fileprivate var isUnsettled: Bool {
        switch phase {
        case .waiting, .starting: true
        case .running, .stopping, .backingOff, .parked, .stopped: false
        }
    }

    fileprivate var isCancelled: Bool {
        if case .stopping = phase { return true }
        return false
    }
}

extension SupervisionPlan {
    /// What the status shows of each child, in start order.
    public func statuses(now: Instant) -> [ChildStatus] {
        children.map { child in
            var status = ChildStatus(
                id: child.policy.id, kind: .worker, state: .waiting, age: now - child.since, restarts: child.restarts,
                abandoned: child.abandoned, lastError: child.lastError)
            switch child.phase {
            case .waiting: status.state = .waiting
            case .starting: status.state = .starting
            case .running: status.state = .running
            case .stopping: status.state = .stopping
            case .stopped: status.state = .stopped
            case .backingOff(let until):
                status.state = .backingOff
                status.retryIn = max(.zero, until - now)
            case .parked(let until):
                status.state = .parked
                status.retryIn = max(.zero, until - now)
            }
            return status
        }
    }
}

extension SupervisionPlan {
    /// Whether somebody asked this run to end.
    public func isEndingOnRequest(_ run: Run) -> Bool {
        index(of: run).map { children[$0].afterStop != nil } ?? false
    }
}
