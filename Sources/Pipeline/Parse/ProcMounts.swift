/// `/proc/PID/mounts`, for kernels and containers without mountinfo.
///
/// Shape: `device mountpoint fstype options 0 0`, with octal escapes. Errors: a line with fewer than four fields.
/// Source: fstab(5), proc(5).
public enum ProcMounts {
    public static func parse(_ bytes: [UInt8], source: String = "mounts") throws(ParseError) -> [Mount] {
        var cursor = ByteCursor(bytes)
        var mounts: [Mount] = []
        while cursor.nextLine() {
            guard let device = cursor.word(), let mountPoint = cursor.word(), let fileSystem = cursor.word(),
                let options = cursor.word()
            else { throw ParseError(source, line: cursor.lineNumber, "fewer than 4 fields") }
            mounts.append(
                Mount(
                    number: "", device: cursor.text(device),
                    mountPoint: Mount.decodingOctal(cursor.bytes[mountPoint]), fileSystem: cursor.text(fileSystem),
                    options: cursor.text(options).split(separator: ",").map(String.init)))
        }
        return mounts
    }
}
