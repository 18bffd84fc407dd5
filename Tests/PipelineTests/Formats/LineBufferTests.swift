import Testing

@testable import Pipeline

@Suite("Lines of a stream")
struct LineBufferTests {
    @Test("pieces of any size give whole lines, and the rest at the end")
    func pieces() {
        let text = Array("one\ntwo\n\nthree".utf8)
        for size in 1...text.count {
            var buffer = LineBuffer(limit: 100)
            var lines: [UInt8] = []
            for start in stride(from: 0, to: text.count, by: size) {
                lines += buffer.add(Array(text[start..<min(start + size, text.count)]))
            }
            #expect(lines == Array("one\ntwo\n\n".utf8))
            let rest = buffer.rest()
            #expect(rest == Array("three".utf8))
        }
    }

    @Test("a line without end is passed over, and what follows is read")
    func overlong() {
        var buffer = LineBuffer(limit: 10)
        var lines = buffer.add(Array("ok\n".utf8))
        for _ in 0..<10 { lines += buffer.add(Array("xxxxxxxx".utf8)) }
        #expect(buffer.count <= 10)
        let wasOverlong = buffer.takeOverlong()
        #expect(wasOverlong)
        lines += buffer.add(Array("xx\nagain\n".utf8))
        #expect(lines == Array("ok\nagain\n".utf8))
        let isOverlong = buffer.takeOverlong()
        #expect(!isOverlong)
    }
}

@Suite("Positions in files")
struct TailStateTests {
    @Test("what is kept is read back; damage counts as nothing")
    func roundTrip() {
        var state = TailState()
        state.marks["/a \"b\"\n"] = TailState.Mark(device: 1, inode: .max, offset: 3)
        state.marks["/c"] = TailState.Mark(device: 4, inode: 5, offset: 0)
        let bytes = state.encoded
        #expect(TailState(bytes) == state)
        for end in 0..<bytes.count - 1 { #expect(TailState(Array(bytes[..<end])).marks.isEmpty) }
        #expect(
            TailState(
                Array("{\"files\":[{\"path\":1},5,{\"path\":\"x\",\"device\":1,\"inode\":1,\"offset\":-1}]}".utf8)
            ).marks.isEmpty)
    }

    @Test("a mark counts for that very file alone")
    func start() {
        let mark = TailState.Mark(device: 1, inode: 2, offset: 10)
        #expect(TailState.start(mark: mark, device: 1, inode: 2, size: 20, withoutMark: 20) == 10)
        #expect(TailState.start(mark: mark, device: 1, inode: 2, size: 9, withoutMark: 9) == 0)
        #expect(TailState.start(mark: mark, device: 1, inode: 3, size: 20, withoutMark: 20) == 0)
        #expect(TailState.start(mark: nil, device: 1, inode: 2, size: 20, withoutMark: 20) == 20)
    }
}
