import Testing

@testable import Pipeline

@Suite("Environment variables in strings")
struct EnvironmentSubstitutionTests {
    private let environment = ["NAME": "value", "EMPTY": "", "A1": "x", "NESTED": "${NAME}", "QUOTE": "a\"\nb"]

    @Test(
        "patterns",
        arguments: [
            ("plain", "plain"), ("$NAME", "value"), ("${NAME}", "value"), ("a${NAME}b$A1.c", "avaluebx.c"),
            ("$UNSET ${UNSET}", "$UNSET ${UNSET}"), ("${UNSET:-d}", "d"), ("${EMPTY:-d}", "d"), ("${EMPTY-d}", ""),
            ("${UNSET-d}", "d"), ("${NAME:-d}", "value"), ("${NAME:+x}", "x"), ("${EMPTY:+x}", ""), ("${EMPTY+x}", "x"),
            ("${UNSET+x}", ""), ("$$NAME", "$NAME"), ("$$$NAME", "$value"), ("${1}", "${1}"), ("$1", "$1"), ("$", "$"),
            ("a$", "a$"), ("${", "${"), ("${}", "${}"), ("${NAME", "${NAME"), ("${NAME!x}", "${NAME!x}"),
            ("${NAME:}", "${NAME:}"),
            ("${UNSET:-${NAME}}", "value"), ("${UNSET:-a}b}", "ab}"), ("$NESTED", "${NAME}"), ("$QUOTE", "a\"\nb"),
            ("${NAME:?m}", "value"), ("${EMPTY?m}", ""), ("ä$NAME", "ävalue"),
        ])
    func patterns(text: String, expected: String) throws {
        #expect(try EnvironmentSubstitution.apply(text, environment) == expected)
    }

    @Test(
        "a required variable that is missing is an error with its message",
        arguments: ["${UNSET:?why}", "${EMPTY:?why}", "${UNSET?why}"])
    func required(text: String) {
        do throws(EnvironmentSubstitution.MissingVariable) {
            _ = try EnvironmentSubstitution.apply(text, environment)
            Issue.record("\(text) was accepted")
        } catch {
            #expect(error.message == "why")
        }
    }

    @Test("nesting without end and without closing costs bounded work")
    func hostile() throws {
        let deep = String(repeating: "${U:-", count: 1_000)
        _ = try EnvironmentSubstitution.apply(deep, environment)
        _ = try EnvironmentSubstitution.apply(deep + String(repeating: "}", count: 1_000), environment)
        _ = try EnvironmentSubstitution.apply(String(repeating: "$", count: 100_000), environment)
    }

    @Test("values in lists and tables are replaced, keys and numbers are not, and secrets know it")
    func tree() {
        let (tree, _) = TOMLParser.parse(Array("'$NAME' = ['$NAME', 1]\n[a]\nb = '${UNSET:?set it}'\n".utf8), file: "f")
        var issues: [ConfigIssue] = []
        let result = tree.substituting(environment, key: "", &issues)
        guard case .array(let nodes)? = result["$NAME"]?.kind else {
            Issue.record("no list")
            return
        }
        #expect(nodes.map(\.kind) == [.string("value"), .integer(1)])
        #expect(nodes.first?.isSubstituted == true)
        #expect(issues.map(\.description) == ["f:3: a.b: environment variable UNSET is not set: set it"])
    }
}
