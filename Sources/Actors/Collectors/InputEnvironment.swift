import Logging
import NIOCore
import Pipeline

/// What the agent lends to its inputs. One value for all of them; each takes what it needs when it is made.
public struct InputEnvironment: Sendable {
    public var host: any Host
    /// The agent's own figures.
    public var agent: any AgentCounters
    /// For waits on the main loop, where collectors live.
    public var clock: any Clock
    /// Every HTTP transfer of the process.
    public var http: any HTTPClient
    /// For sockets and other descriptors; its thread starts with the first use.
    public var io: WorkLoop
    /// For names of hosts; one for all inputs, so that its threads are few.
    public var names: NameLookup
    /// For files of others, which may hang; its thread starts with the first use.
    public var files: WorkLoop
    /// For pages of metrics, whose reading takes its time; its thread starts with the first use.
    public var scrapes: WorkLoop
    /// What inputs know of the kinds of metrics.
    public var notes: NotesBoard
    /// The main loop's, for servers; nil without a running agent.
    public var eventLoop: (any EventLoop)?
    /// Where something may be kept over a restart; empty for nowhere.
    public var stateDirectory: String
    /// For listeners with TLS.
    public var certificates = ServerCertificates()
    /// For what happens outside of a gather.
    public var log = Logger(label: "input", factory: { _ in SwiftLogNoOpLogHandler() })

    public init(
        host: any Host, agent: any AgentCounters, clock: any Clock, http: any HTTPClient, io: WorkLoop,
        names: NameLookup, files: WorkLoop = WorkLoop(name: "godwit-files"),
        scrapes: WorkLoop = WorkLoop(name: "godwit-scrape"), notes: NotesBoard = NotesBoard(),
        eventLoop: (any EventLoop)?,
        stateDirectory: String
    ) {
        self.host = host
        self.agent = agent
        self.clock = clock
        self.http = http
        self.io = io
        self.names = names
        self.files = files
        self.scrapes = scrapes
        self.notes = notes
        self.eventLoop = eventLoop
        self.stateDirectory = stateDirectory
    }

    /// A place to gather without a running agent: a loop of its own, no server, nothing kept.
    public init(alone host: any Host, agent: any AgentCounters = NoAgentCounters()) {
        let io = WorkLoop(name: "godwit-io")
        self.init(
            host: host, agent: agent, clock: io, http: CurlMulti(loop: io), io: io,
            names: NameLookup(), eventLoop: nil, stateDirectory: "")
    }
}
