Feature: Set
  Every value that a `set` can make, and what becomes of it.

  Scenario Outline: A set makes its output
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: set, version: '1.0.0' }
    do:
      - make:
          set: <set>
    """
    And given the workflow input is:
    """yaml
    <input>
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    <output>
    """

    Examples:
      | why                             | set                                                 | input                    | output                                   |
      | a literal                       | { a: 1, b: text, c: true, d: null }                 | {}                       | { a: 1, b: text, c: true, d: null }      |
      | nested literals                 | { a: { b: [1, { c: 2 }] } }                         | {}                       | { a: { b: [1, { c: 2 }] } }              |
      | an expression                   | { a: '${ .x }' }                                    | { x: 7 }                 | { a: 7 }                                 |
      | an expression deep inside       | { a: [{ b: '${ .x + 1 }' }] }                       | { x: 7 }                 | { a: [{ b: 8 }] }                        |
      | an object by an expression      | '${ { total: (.a + .b) } }'                         | { a: 1, b: 2 }           | { total: 3 }                             |
      | what it does not name is gone   | { a: 1 }                                            | { b: 2 }                 | { a: 1 }                                 |
      | a missing property is null      | { a: '${ .missing }' }                              | {}                       | { a: null }                              |
      | text that holds no expression   | { a: 'costs $5 {or so}' }                           | {}                       | { a: 'costs $5 {or so}' }                |
      | expression syntax in the data   | { a: '${ .x }' }                                    | { x: '${ .secret }' }    | { a: '${ .secret }' }                    |
      | large integers stay exact       | { a: '${ .x }' }                                    | { x: 9007199254740993 }  | { a: 9007199254740993 }                  |
      | unicode                         | { 'ü': '${ .name + "ß" }' }                         | { name: 'Grü' }          | { 'ü': 'Grüß' }                          |

  Scenario: Each set replaces what the one before made
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: set, version: '1.0.0' }
    do:
      - first: { set: { a: 1, b: 2 } }
      - second: { set: { c: '${ .a + .b }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    c: 3
    """
    And first should run first
    And second should run last
