import Glibc
import Pipeline

/// Where the daemon keeps its things, by the rules of systemd, the file hierarchy and XDG, in this order.
enum Paths {
    /// `$STATE_DIRECTORY`; `/var/lib/godwit` for root; `$XDG_STATE_HOME/godwit`; `~/.local/state/godwit`.
    static var stateDirectory: String {
        if let given = variable("STATE_DIRECTORY") { return String(given.split(separator: ":").first ?? "") }
        if geteuid() == 0 { return "/var/lib/godwit" }
        if let given = variable("XDG_STATE_HOME") { return given + "/godwit" }
        return (variable("HOME") ?? "/var/tmp") + "/.local/state/godwit"
    }

    /// `state_directory` of `[agent]`, else `stateDirectory`.
    static func stateDirectory(_ config: Config?) -> String {
        if let given = config?.agent.stateDirectory, !given.isEmpty { return given }
        return stateDirectory
    }

    /// `socket` of `[status]`; `$RUNTIME_DIRECTORY/godwit.sock`; `/run/godwit/godwit.sock` for root; `godwit.sock` in the
    /// state directory. Without a configuration: where a daemon listens whose configuration names no place.
    static func statusSocket(_ config: Config?) -> String {
        if let given = config?.status.socket, !given.isEmpty { return given }
        if let given = variable("RUNTIME_DIRECTORY") {
            return String(given.split(separator: ":").first ?? "") + "/godwit.sock"
        }
        if geteuid() == 0 { return "/run/godwit/godwit.sock" }
        return stateDirectory(config) + "/godwit.sock"
    }

    /// Where tunnels listen for routes of outputs: `routes` in `$RUNTIME_DIRECTORY`, else in the state directory.
    static func roadDirectory(_ config: Config?) -> String {
        let runtime = variable("RUNTIME_DIRECTORY").map { String($0.split(separator: ":").first ?? "") }
        return (runtime ?? stateDirectory(config)) + "/routes"
    }

    /// The file that is read when none is named: `/etc/godwit/config.toml`, else `config.toml` here.
    static var configFile: String {
        access("/etc/godwit/config.toml", R_OK) == 0 ? "/etc/godwit/config.toml" : "config.toml"
    }

    /// Makes a directory and its parents; those made are for their owner alone. False with `errno` when it fails.
    static func makeDirectory(_ path: String) -> Bool {
        var made = ""
        for part in path.split(separator: "/", omittingEmptySubsequences: true) {
            made += (made.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
            if mkdir(made, 0o700) != 0 && errno != EEXIST { return false }
        }
        return access(path, W_OK | X_OK) == 0
    }

    private static func variable(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        let text = String(cString: value)
        return text.isEmpty ? nil : text
    }
}
