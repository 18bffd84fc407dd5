import CCurl
import CLinux
import Glibc
import Pipeline
import Synchronization

/// Every HTTP transfer of the process, on one libcurl multi handle that is driven by the I/O loop.
///
/// Owns: the multi handle with its connection cache, a few idle easy handles, one `CurlTransfer` a request.
/// Receives: `perform` calls. Sends: replies. Started by the first request; lives as long as the process or to `close`.
/// Stops: a cancelled task's transfer is taken off the handle at once, or after the grace its request allows.
public actor CurlMulti: HTTPClient {
    private static let idleLimit = 4
    /// Cached connections that nobody uses; two lanes to some outputs need no more.
    private static let connectionLimit = 8
    /// Once a process, before the first handle.
    private static let isReady = curl_global_init(3) == CURLE_OK

    private nonisolated let loop: WorkLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private var multi: UnsafeMutableRawPointer?
    private var transfers: [UnsafeMutableRawPointer: CurlTransfer] = [:]
    private var idle: [UnsafeMutableRawPointer] = []
    private var timer: UInt64?

    public init(loop: WorkLoop) { self.loop = loop }

    /// Sends `request` and waits for the whole reply.
    ///
    /// Bounds: reply body 64 KiB, headers 64 KiB, time by the request. Errors: `TransferFailure`, never thrown.
    /// Why not isolated: the caller waits where it is, so that a request costs one wake-up of the I/O loop and one of the
    /// caller's, and no hop back and forth to leave the actor.
    public nonisolated func perform(_ request: HTTPRequest) async -> Result<HTTPReply, TransferFailure> {
        let ticket = Ticket()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                loop.post { self.assumeIsolated { $0.start(request, ticket, continuation) } }
            }
        } onCancel: {
            ticket.isCancelled.store(true, ordering: .sequentiallyConsistent)
            loop.post { self.assumeIsolated { $0.cancel(ticket, grace: request.cancelGrace) } }
        }
    }

    private func start(
        _ request: HTTPRequest, _ ticket: Ticket,
        _ continuation: CheckedContinuation<Result<HTTPReply, TransferFailure>, Never>
    ) {
        guard let multi = openMulti() else {
            return continuation.resume(returning: .failure(TransferFailure(.invalid, "libcurl does not start")))
        }
        guard let easy = idle.popLast() ?? curl_easy_init() else {
            return continuation.resume(returning: .failure(TransferFailure(.hardDown, "no memory for a transfer")))
        }
        let transfer = CurlTransfer(ticket: ticket, easy: easy, request: request, started: KernelClock.monotonic())
        if transfer.isPiped { transfer.wake = { self.loop.post { self.assumeIsolated { $0.resume(ticket) } } } }
        if let failure = transfer.configure() {
            recycle(easy)
            return continuation.resume(returning: .failure(failure))
        }
        transfers[easy] = transfer
        transfer.continuation = continuation
        limitConnections(multi)
        let code = curl_multi_add_handle(multi, easy)
        if code != CURLM_OK {
            finish(easy, .failure(TransferFailure(.invalid, String(cString: curl_multi_strerror(code)))))
        } else if ticket.isCancelled.load(ordering: .sequentiallyConsistent) {
            // Before it began: its cancellation found nothing.
            cancel(ticket, grace: request.cancelGrace)
        }
    }

    /// Ends every transfer as cancelled and gives all handles back.
    public func close() {
        for easy in Array(transfers.keys) { cancelNow(easy) }
        for easy in idle { curl_easy_cleanup(easy) }
        idle = []
        guard let multi else { return }
        self.multi = nil
        curl_multi_cleanup(multi)
        if let timer { loop.cancelTimer(timer) }
        timer = nil
    }

    // MARK: Cancelling

    private func cancel(_ ticket: Ticket, grace: Duration) {
        guard let easy = transfers.values.first(where: { $0.ticket === ticket })?.easy else { return }
        guard grace > .zero else { return cancelNow(easy) }
        loop.schedule(at: KernelClock.monotonic() + grace) { self.cancel(ticket, grace: .zero) }
    }

    private func cancelNow(_ easy: UnsafeMutableRawPointer) {
        finish(easy, .failure(TransferFailure(.cancelled, "")))
    }

    // MARK: Pauses

    /// A transfer that waits for the other end of its pipe goes on. Never from inside a callback of libcurl.
    private func resume(_ ticket: Ticket) {
        guard let transfer = transfers.values.first(where: { $0.ticket === ticket }) else { return }
        let code = curl_easy_pause(transfer.easy, CURLPAUSE_RECV_CONT | CURLPAUSE_SEND_CONT)
        if code != CURLE_OK { finish(transfer.easy, transfer.result(code, now: KernelClock.monotonic())) }
    }

    // MARK: The multi handle

    private func openMulti() -> UnsafeMutableRawPointer? {
        if let multi { return multi }
        guard Self.isReady, let multi = curl_multi_init() else { return nil }
        let context = Unmanaged.passUnretained(self).toOpaque()
        limitConnections(multi)
        _ = godwit_multi_set_pointer(multi, CURLMOPT_SOCKETDATA, context)
        _ = godwit_multi_set_pointer(multi, CURLMOPT_TIMERDATA, context)
        _ = godwit_multi_set_socket(multi) { _, descriptor, what, context, _ in
            guard let context else { return 0 }
            let owner = Unmanaged<CurlMulti>.fromOpaque(context).takeUnretainedValue()
            owner.assumeIsolated { $0.watch(descriptor, what) }
            return 0
        }
        _ = godwit_multi_set_timer(multi) { _, milliseconds, context in
            guard let context else { return 0 }
            let owner = Unmanaged<CurlMulti>.fromOpaque(context).takeUnretainedValue()
            owner.assumeIsolated { $0.setTimer(milliseconds) }
            return 0
        }
        self.multi = multi
        return multi
    }

    /// libcurl counts connections in use, too: with many long polls it would close each at its answer, which to the
    /// other side is a client that died.
    private func limitConnections(_ multi: UnsafeMutableRawPointer) {
        _ = godwit_multi_set_long(multi, CURLMOPT_MAXCONNECTS, Self.connectionLimit + transfers.count)
    }

    /// libcurl wants to know when `descriptor` is ready.
    private func watch(_ descriptor: Int32, _ what: Int32) {
        guard what != CURL_POLL_REMOVE else { return loop.unwatch(descriptor) }
        var events: UInt32 = 0
        if what & CURL_POLL_IN != 0 { events |= EPOLLIN.rawValue }
        if what & CURL_POLL_OUT != 0 { events |= EPOLLOUT.rawValue }
        loop.watch(descriptor, for: events) { ready in self.socketReady(descriptor, ready) }
    }

    private func socketReady(_ descriptor: Int32, _ ready: UInt32) {
        var events: Int32 = 0
        if ready & (EPOLLIN.rawValue | EPOLLHUP.rawValue) != 0 { events |= CURL_CSELECT_IN }
        if ready & EPOLLOUT.rawValue != 0 { events |= CURL_CSELECT_OUT }
        if ready & EPOLLERR.rawValue != 0 { events |= CURL_CSELECT_ERR }
        act(descriptor, events)
    }

    /// libcurl wants to be called in so many milliseconds; −1 ends that wish.
    private func setTimer(_ milliseconds: Int) {
        if let timer { loop.cancelTimer(timer) }
        timer = nil
        guard milliseconds >= 0 else { return }
        // Never from inside this callback: even a wait of 0 goes through the loop.
        timer = loop.schedule(at: KernelClock.monotonic() + .milliseconds(milliseconds)) { self.timerFired() }
    }

    private func timerFired() {
        timer = nil
        act(CURL_SOCKET_TIMEOUT, 0)
    }

    private func act(_ descriptor: Int32, _ events: Int32) {
        guard let multi else { return }
        var running: Int32 = 0
        _ = curl_multi_socket_action(multi, descriptor, events, &running)
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
            let code = message.pointee.data.result
            guard let transfer = transfers[easy] else { continue }
            finish(easy, transfer.result(code, now: KernelClock.monotonic()))
        }
    }

    private func finish(_ easy: UnsafeMutableRawPointer, _ result: Result<HTTPReply, TransferFailure>) {
        guard let transfer = transfers.removeValue(forKey: easy) else { return }
        if let multi {
            curl_multi_remove_handle(multi, easy)
            limitConnections(multi)
        }
        // A handle whose transfer got nowhere keeps its buffer, and refuses to have its size set again (libcurl 7.88).
        // Nor is one with other buffers than all of use to all.
        if case .success = result, !transfer.isPiped { recycle(easy) } else { curl_easy_cleanup(easy) }
        transfer.continuation?.resume(returning: result)
        transfer.continuation = nil
    }

    private func recycle(_ easy: UnsafeMutableRawPointer) {
        guard idle.count < Self.idleLimit else { return curl_easy_cleanup(easy) }
        curl_easy_reset(easy)
        idle.append(easy)
    }
}

/// One request, as its waiting task and its transfer both know it.
final class Ticket: Sendable {
    let isCancelled = Atomic<Bool>(false)
}
