Feature: Flow directives
  Where the flow goes after a task: continue, exit, end, or a task of the same list.

  Scenario Outline: Then of a task
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: flow, version: '1.0.0' }
    do:
      - first: { set: { seen: [first] }, then: <then> }
      - second: { set: { seen: '${ .seen + ["second"] }' } }
      - third: { set: { seen: '${ .seen + ["third"] }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    seen: <seen>
    """

    Examples:
      | why                 | then     | seen                   |
      | continue            | continue | [first, second, third] |
      | the end             | end      | [first]                |
      | the exit at the top | exit     | [first]                |
      | over a task         | third    | [first, third]         |
      | the next one        | second   | [first, second, third] |

  Scenario Outline: Then inside a list of its own
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: flow, version: '1.0.0' }
    do:
      - group:
          do:
            - first: { set: { seen: [first] }, then: <then> }
            - second: { set: { seen: '${ .seen + ["second"] }' } }
      - after: { set: { seen: '${ .seen + ["after"] }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    seen: <seen>
    """

    Examples:
      | why                              | then     | seen                   |
      | exit leaves the list             | exit     | [first, after]         |
      | end leaves the workflow          | end      | [first]                |
      | continue stays                   | continue | [first, second, after] |
      | a task of the same list          | second   | [first, second, after] |

  Scenario: A jump back makes a loop
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: flow, version: '1.0.0' }
    do:
      - count: { set: { n: '${ (.n // 0) + 1 }' } }
      - again: { switch: [ { more: { when: '.n < 5', then: count } }, { enough: { then: done } } ] }
      - done: { set: { total: '${ .n }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    total: 5
    """
    And count should run 5 times
    And done should run last

  Scenario: Then of a skipped task does not count
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: flow, version: '1.0.0' }
    do:
      - skipped: { if: 'false', set: { a: 1 }, then: end }
      - after: { set: { b: 2 } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    b: 2
    """

  Scenario: Then of a group is taken after its tasks
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: flow, version: '1.0.0' }
    do:
      - group: { do: [ { inner: { set: { a: 1 } } } ], then: last }
      - over: { set: { b: 1 } }
      - last: { set: { c: '${ .a }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    c: 1
    """
    And over should not run

  Scenario: A list of its own gets the transformed input and gives the last output
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: flow, version: '1.0.0' }
    do:
      - group:
          input: { from: .a }
          do:
            - one: { set: { n: '${ .b + 1 }' } }
            - two: { set: { n: '${ .n * 2 }' } }
          output: { as: .n }
    """
    And given the workflow input is:
    """yaml
    a: { b: 1 }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    4
    """
