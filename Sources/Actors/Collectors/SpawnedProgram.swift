import CLinux
import Glibc

/// A program that was just started, and our ends of its pipes, none of which blocks.
struct SpawnedProgram {
    var pid: pid_t
    /// Its standard input; -1 when it has none.
    var input: Int32
    var output: Int32
    var errors: Int32

    /// Starts a program in a process group of its own, with an environment of PATH, `LC_ALL=C` and `variables`
    /// (`NAME=value`; of one name the last counts), no signal blocked or ignored, and no descriptor but its pipes.
    /// Errors: what posix_spawn says.
    static func start(
        _ command: [String], variables: [String], hasInput: Bool
    ) -> Result<SpawnedProgram, HostError> {
        let name = command.first ?? ""
        var pipes: [[Int32]] = []
        for _ in 0..<(hasInput ? 3 : 2) {
            var ends: [Int32] = [-1, -1]
            guard pipe2(&ends, O_CLOEXEC) == 0 else {
                let code = errno
                for descriptor in pipes.joined() { SystemError.close(descriptor) }
                return .failure(HostError(code: code, operation: name))
            }
            pipes.append(ends)
        }
        let (out, err) = (pipes[0], pipes[1])
        let input = hasInput ? pipes[2] : [-1, -1]
        for descriptor in [out[0], err[0], input[1]] where descriptor >= 0 {
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        }
        var pid: pid_t = -1
        let code = spawn(command, environment(adding: variables), input[0], out[1], err[1], &pid)
        for descriptor in [out[1], err[1], input[0]] { SystemError.close(descriptor) }
        guard code == 0 else {
            for descriptor in [out[0], err[0], input[1]] { SystemError.close(descriptor) }
            return .failure(HostError(code: code, operation: name))
        }
        return .success(SpawnedProgram(pid: pid, input: input[1], output: out[0], errors: err[0]))
    }

    private static func environment(adding variables: [String]) -> [String] {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/sbin:/usr/bin:/sbin:/bin"
        var byName: [Substring: String] = [:]
        for variable in ["PATH=\(path)", "LC_ALL=C"] + variables {
            byName[variable.prefix { $0 != "=" }] = variable
        }
        return byName.values.sorted()
    }

    private static func spawn(
        _ command: [String], _ environment: [String], _ input: Int32, _ output: Int32, _ errors: Int32,
        _ pid: inout pid_t
    ) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if input >= 0 {
            posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        // Ours are closed on exec as a rule; what a library opened may not be.
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        return withPointers(command) { arguments in
            withPointers(environment) { environment in
                posix_spawnp(&pid, command.first ?? "", &actions, &attributes, arguments, environment)
            }
        }
    }

    /// Calls `body` with copies of the texts and a closing nil, as exec wants them.
    private static func withPointers<Result>(
        _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers = texts.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers)
    }
}
