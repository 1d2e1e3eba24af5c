Feature: Expressions
  jq as the definition's language: where it is read, what it gives, what it cannot reach.

  Scenario Outline: Results
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: expressions, version: '1.0.0' }
    do:
      - task: { set: { value: '<expression>' } }
    """
    And given the workflow input is:
    """yaml
    { n: 7, text: 'a,b', list: [3, 1, 2], object: { k: v }, flag: false }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    value: <value>
    """

    Examples:
      | why                         | expression                                             | value           |
      | arithmetic                  | ${ (.n + 1) * 2 - 6 / 3 }                              | 14              |
      | division                    | ${ .n / 2 }                                            | 3.5             |
      | a remainder                 | ${ .n % 4 }                                            | 3               |
      | interpolation               | ${ "n is \\(.n)" }                                     | n is 7          |
      | a default                   | ${ .missing // "none" }                                | none            |
      | a default of false          | ${ .flag // true }                                     | true            |
      | a condition                 | ${ if .n > 5 then "big" else "small" end }             | big             |
      | sort                        | ${ .list \| sort }                                     | [1, 2, 3]       |
      | map and select              | ${ .list \| map(select(. > 1)) }                       | [3, 2]          |
      | reduce                      | ${ reduce .list[] as $x (0; . + $x) }                  | 6               |
      | split                       | ${ .text \| split(",") }                               | [a, b]          |
      | keys                        | ${ .object \| keys }                                   | [k]             |
      | an object                   | ${ { k: .object.k, n } }                               | { k: v, n: 7 }  |
      | a test                      | ${ .text \| test("^a") }                               | true            |
      | the first of several        | ${ .list[] }                                           | 3               |
      | nothing at all              | ${ empty }                                             | null            |
      | base64                      | ${ .text \| @base64 }                                  | YSxi            |
      | from JSON                   | ${ "[1]" \| fromjson }                                 | [1]             |
      | to JSON                     | ${ .object \| tojson }                                 | '{"k":"v"}'     |
      | a slice                     | ${ .list[1:] }                                         | [1, 2]          |
      | a variable                  | ${ .n as $x \| $x + 1 }                                | 8               |
      | catching                    | ${ try error("x") catch . }                            | x               |
      | types                       | ${ [.n, .text, .list, .object, .flag, null] \| map(type) \| join(" ") } | number string array object boolean null |

  Scenario Outline: What no expression can reach
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: expressions, version: '1.0.0' }
    do:
      - task: { set: { value: '${ <expression> }' } }
    """
    When the workflow is executed
    Then the definition should be refused

    Examples:
      | expression       |
      | env              |
      | $ENV             |
      | input            |
      | inputs           |
      | $secrets         |
      | $nobody          |
      | .a \|            |
      | nosuch(1)        |
      | halt             |
      | import "a" as a; 1 |

  Scenario Outline: What would not end, or not fit, is an error
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: expressions, version: '1.0.0' }
    do:
      - task: { set: { value: '${ <expression> }' } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/expression', status: 400, instance: /do/0/task }
    """

    Examples:
      | expression                                   |
      | [range(1e12)] \| length                      |
      | [repeat(1)]                                  |
      | until(false; .)                              |
      | "a" * 1e11                                   |
      | [limit(100000000; repeat("aaaaaaaaaaaaaaaa"))] |
      | reduce range(100000) as $i ("a"; . + .)      |
