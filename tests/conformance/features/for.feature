Feature: For
  Loops over items, their names, their condition, and their data.

  Scenario Outline: Items
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: for, version: '1.0.0' }
    do:
      - loop:
          for: { in: '<in>' }
          do:
            - add: { set: { sum: '${ (.sum // 0) + $item }' } }
      - show: { set: { sum: '${ .sum }' } }
    """
    And given the workflow input is:
    """yaml
    { list: [1, 2, 3], none: [] }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    sum: <sum>
    """
    And add should run <times> times

    Examples:
      | why                  | in                  | sum | times |
      | bare                 | .list               | 6   | 3     |
      | with braces          | ${ .list }          | 6   | 3     |
      | made on the way      | [range(5)]          | 10  | 5     |

  Scenario: A loop over nothing gives its input
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: for, version: '1.0.0' }
    do:
      - loop: { for: { in: .none }, do: [ { never: { set: { a: 1 } } } ] }
    """
    And given the workflow input is:
    """yaml
    none: []
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    none: []
    """
    And never should not run

  Scenario: The names of item and index are chosen
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: for, version: '1.0.0' }
    do:
      - loop:
          for: { each: color, in: .colors, at: place }
          do:
            - keep: { set: { all: '${ (.all // []) + [{ color: $color, place: $place }] }' } }
    """
    And given the workflow input is:
    """yaml
    colors: [red, blue]
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    all: [{ color: red, place: 0 }, { color: blue, place: 1 }]
    """

  Scenario: While ends a loop early
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: for, version: '1.0.0' }
    do:
      - loop:
          for: { each: n, in: .list }
          while: '(.sum // 0) < 3'
          do:
            - add: { set: { sum: '${ (.sum // 0) + $n }' } }
    """
    And given the workflow input is:
    """yaml
    list: [1, 2, 3, 4]
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    sum: 3
    """
    And add should run 2 times

  Scenario: Loops inside loops know the outer item
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: for, version: '1.0.0' }
    do:
      - rows:
          for: { each: row, in: .rows }
          do:
            - cells:
                for: { each: cell, in: .cells, at: column }
                do:
                  - keep: { set: { cells: '${ .cells }', rows: '${ .rows }', seen: '${ (.seen // []) + ["\($row)\($cell)\($column)"] }' } }
      - show: { set: { seen: '${ .seen }' } }
    """
    And given the workflow input is:
    """yaml
    { rows: [a, b], cells: [x, y] }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    seen: [ax0, ay1, bx0, by1]
    """

  Scenario: Exit ends an iteration, end the workflow
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: for, version: '1.0.0' }
    do:
      - loop:
          for: { each: n, in: '[1, 2, 3]' }
          do:
            - keep: { set: { seen: '${ (.seen // []) + [$n] }' } }
            - stop: { switch: [ { two: { when: '$n == 2', then: end } }, { other: { then: exit } } ] }
            - never: { set: { seen: wrong } }
      - after: { set: { seen: after } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    seen: [1, 2]
    """
    And never should not run
    And after should not run

  Scenario Outline: What is no list is an error
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: for, version: '1.0.0' }
    do:
      - loop: { for: { in: '<in>' }, do: [ { body: { set: { a: 1 } } } ] }
    """
    And given the workflow input is:
    """yaml
    { text: abc, object: { a: 1 } }
    """
    When the workflow is executed
    Then the workflow should fault
    And loop should fault
    And body should not run

    Examples:
      | in      |
      | .text   |
      | .object |
      | 5       |
