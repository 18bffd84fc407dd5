import NIOCore

/// Keeps a waiting connection small: stands at the socket until the first bytes come, holds on to their buffer and goes.
///
/// Why: a channel keeps the buffer of its first read for later ones, where it grows with the largest. One that has another
/// owner it leaves alone, and what it reads later goes into buffers that it gives back. For channels that read once a turn.
final class FirstRead: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        context.channel.closeFuture.assumeIsolated().whenComplete { _ in withExtendedLifetime(buffer) {} }
        context.fireChannelRead(data)
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }
}
