// swift-tools-version: 6.2
import PackageDescription

/// One language mode for all of Godwit: data-race safety proven by the compiler, no implicit existential, an async
/// function stays on its caller's actor, and a warning is an error.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "godwit",
    products: [.executable(name: "godwit", targets: ["App"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ],
    targets: [
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CSSH2", pkgConfig: "libssh2", providers: [.apt(["libssh2-1-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CLinux"),
        .target(name: "Pipeline", swiftSettings: strict),
        .target(
            name: "Actors",
            dependencies: [
                "Pipeline", "CCurl", "CSSH2", "CCrypto", "CZlib", "CLinux",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "App",
            dependencies: [
                "Pipeline", "Actors", "CLinux",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "fixture-runner", dependencies: ["Pipeline", "Actors"], path: "Tests/FixtureRunner",
            swiftSettings: strict),
        .executableTarget(
            name: "godwit-bench", dependencies: ["Pipeline", "Actors", "CZlib"], path: "Benchmarks/MicroBench",
            swiftSettings: strict),
        .testTarget(name: "PipelineTests", dependencies: ["Pipeline"], swiftSettings: strict),
        .testTarget(
            name: "ActorsTests",
            dependencies: [
                "Actors", "Pipeline", "CLinux", "CZlib",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "AppTests",
            // toml++ is what our own parser is compared with; nothing that is shipped links it.
            dependencies: ["App", "Actors", "Pipeline", .product(name: "TOMLKit", package: "TOMLKit")],
            swiftSettings: strict),
    ]
)
