/// Names of the chassis types of SMBIOS.
///
/// Source: DMTF DSP0134, system enclosure or chassis types; spelled as Telegraf spells them.
public enum ChassisType {
    private static let names = [
        "Other", "Unknown", "Desktop", "Low profile desktop", "Pizza box", "Mini tower", "Tower", "Portable", "Laptop",
        "Notebook", "Hand held", "Docking station", "All in one", "Sub notebook", "Space-saving", "Lunch box",
        "Main server chassis", "Expansion chassis", "SubChassis", "Bus Expansion chassis", "Peripheral chassis",
        "RAID chassis", "Rack mount chassis", "Sealed-case PC", "Multi-system chassis", "Compact PCI", "Advanced TCA",
        "Blade", "Blade enclosure", "Tablet", "Convertible", "Detachable", "IoT gateway", "Embedded PC", "Mini PC",
        "Stick PC",
    ]

    /// The name of `code` (`"3"` is `Desktop`); `unknown` for any other text.
    public static func name(_ code: String) -> String {
        guard let number = Int(code), number >= 1, number <= names.count else { return "unknown" }
        return names[number - 1]
    }
}
