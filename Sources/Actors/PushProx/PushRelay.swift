import NIOCore
import Pipeline

/// A push on its way to the scraper that waits for it: the inner head is read, the body goes on piece by piece.
///
/// Bounds: 64 KiB are held back, so that a small response that turns out to be cut is a 502 and not half a page; from
/// there on the pusher is read no faster than the scraper reads. Promise: a response that is not whole never looks whole.
final class PushRelay {
    private static let heldLimit = 64 * 1_024

    private enum State {
        case head
        case body
        /// The rest of the push is of no use; its answer is this.
        case useless(status: Int)
        case done
    }

    private unowned let pusher: ProxyHandler
    private weak var scraper: ProxyHandler?
    private var state = State.head
    private var reader = InnerHeadReader()
    private var body: InnerBody?
    private var status = 0
    private var fields: [HTTPField] = []
    /// Copied together: a piece as it came holds on to the whole buffer that it was read into.
    private var held = ByteBuffer()
    private var hasBegun = false

    init(_ pusher: ProxyHandler) { self.pusher = pusher }

    private var hub: ScrapeHub { pusher.hub }

    // MARK: What the pusher sends

    func take(_ bytes: ByteBuffer) {
        switch state {
        case .head: takeHead(bytes)
        case .body: takeBody(bytes)
        case .useless, .done: break
        }
    }

    private func takeHead(_ bytes: ByteBuffer) {
        do throws(InnerError) {
            guard let (head, rest) = try reader.take(bytes.readableBytesView) else { return }
            guard case .response(let status, _) = head.start else { throw InnerError.notAResponse }
            let (scraper, refusal) = hub.claim(head.fields.first("id"), by: pusher)
            guard let scraper else {
                state = .useless(status: refusal)
                return
            }
            self.scraper = scraper
            scraper.relay = self
            self.status = status
            // From here on the scrape's deadline counts, and the pace of its reader.
            pusher.tellGuard(.requestRead)
            state = .body
            body = try InnerBody(of: head, isHead: scraper.isHead, limit: hub.settings.bodyLimit)
            fields = HeaderRules.response(head.fields)
            if scraper.isHead, let length = head.fields.first("content-length") {
                fields.append(HTTPField("Content-Length", length))
            }
            if !rest.isEmpty { takeBody(ByteBuffer(bytes: rest)) }
        } catch {
            spoil(error)
        }
    }

    private func takeBody(_ bytes: ByteBuffer) {
        do throws(InnerError) {
            var pieces: [ByteBuffer] = []
            var failure: InnerError?
            bytes.withUnsafeReadableBytes { raw in
                do throws(InnerError) {
                    try body?.take(raw.bindMemory(to: UInt8.self)) { range in
                        guard let piece = bytes.getSlice(at: bytes.readerIndex + range.lowerBound, length: range.count)
                        else { return }
                        pieces.append(piece)
                    }
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
            for piece in pieces { pass(piece) }
        } catch {
            spoil(error)
        }
    }

    private func pass(_ piece: ByteBuffer) {
        guard let scraper else { return }
        if hasBegun {
            scraper.add(piece)
        } else {
            held.writeImmutableBuffer(piece)
            guard held.readableBytes > PushRelay.heldLimit else { return }
            hasBegun = true
            scraper.begin(status, fields, length: body?.knownLength)
            scraper.add(held)
            held = ByteBuffer()
        }
        if !scraper.isWritable { pusher.setReading(false) }
    }

    /// The push has ended regularly.
    func end() {
        switch state {
        case .head:
            state = .done
            refuse(400)
        case .useless(let status):
            state = .done
            refuse(status)
        case .done: break
        case .body:
            guard body?.isComplete ?? false else {
                spoil(InnerError.cut(after: body?.received ?? 0))
                state = .done
                return refuse(400)
            }
            state = .done
            finish()
            pusher.reply(200, "")
        }
    }

    /// Without a text: a real client loses its connection on one.
    private func refuse(_ status: Int) {
        pusher.reply(hub.settings.always500 && status != 403 ? 500 : status, "")
    }

    private func finish() {
        guard let scraper else { return }
        scraper.relay = nil
        hub.answered(scraper, outcome: "ok", bytes: body?.received ?? 0)
        if hasBegun {
            scraper.finishReply()
        } else if scraper.isHead {
            scraper.respond(status, fields, ByteBuffer(), length: nil)
        } else {
            scraper.respond(status, fields, held, length: held.readableBytes)
        }
        held = ByteBuffer()
    }

    /// The connection of the push is gone.
    func broke() {
        guard case .body = state else { return }
        spoil(InnerError.cut(after: body?.received ?? 0))
    }

    /// What was pushed cannot be used: a 502 where nothing has gone out, an end that is seen where something has.
    private func spoil(_ error: InnerError) {
        state = .useless(status: 400)
        held = ByteBuffer()
        giveRestTime()
        guard let scraper else { return }
        self.scraper = nil
        scraper.relay = nil
        hub.answered(scraper, outcome: "bad_push", bytes: 0)
        hub.log.warning("a push cannot be used: \(error)", metadata: ["peer": "\(pusher.remoteAddress)"])
        if hasBegun { scraper.abort() } else { scraper.failBadPush("\(error)") }
    }

    /// What is left of a push that is of no use may come for so long, since no scrape's deadline ends it any more.
    private func giveRestTime() {
        pusher.setReading(true)
        pusher.schedule(.seconds(10)) { $0.close() }
    }

    // MARK: What the scraper does

    func scraperReady() { pusher.setReading(true) }

    func scraperGone() {
        guard let scraper else { return }
        hub.answered(scraper, outcome: "scraper_gone", bytes: 0)
        drop()
    }

    /// The scraper's own time is over.
    func scraperLate() {
        guard let scraper else { return }
        hub.answered(scraper, outcome: "too_slow", bytes: 0)
        drop()
    }

    private func drop() {
        scraper?.relay = nil
        scraper = nil
        held = ByteBuffer()
        guard case .body = state else { return }
        state = .useless(status: 410)
        giveRestTime()
    }
}
