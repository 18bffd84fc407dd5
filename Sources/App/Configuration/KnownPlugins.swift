import Actors
import Pipeline

/// The plugins of this binary, as the configuration sees them.
enum KnownPlugins {
    static var inputs: [PluginSpec] { InputRegistry.all.map(\.spec) }
    static var outputs: [PluginSpec] { OutputSpecs.all }
}
