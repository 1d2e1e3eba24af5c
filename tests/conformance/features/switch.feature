Feature: Switch
  Which case is taken, and what passes through.

  Scenario Outline: The first case that holds is taken
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: switch, version: '1.0.0' }
    do:
      - choose:
          switch:
            - large: { when: '.n > 10', then: isLarge }
            - middle: { when: '${ .n > 5 }', then: isMiddle }
            - other: { then: isSmall }
      - isLarge: { set: { size: large }, then: end }
      - isMiddle: { set: { size: middle }, then: end }
      - isSmall: { set: { size: small }, then: end }
    """
    And given the workflow input is:
    """yaml
    n: <n>
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    size: <size>
    """
    And choose should run first
    And choose should complete

    Examples:
      | n  | size   |
      | 11 | large  |
      | 10 | middle |
      | 6  | middle |
      | 5  | small  |

  Scenario Outline: Where a case leads
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: switch, version: '1.0.0' }
    do:
      - group:
          do:
            - choose: { switch: [ { only: { when: .go, then: <then> } } ] }
            - next: { set: { seen: [next] } }
      - after: { set: { seen: '${ (.seen // []) + ["after"] }' } }
    """
    And given the workflow input is:
    """yaml
    go: true
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    <output>
    """

    Examples:
      | why      | then     | output                |
      | continue | continue | { seen: [next, after] } |
      | exit     | exit     | { seen: [after] }     |
      | end      | end      | { go: true }          |
      | a name   | next     | { seen: [next, after] } |

  Scenario: No case and no default goes on with the next task
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: switch, version: '1.0.0' }
    do:
      - choose: { switch: [ { never: { when: 'false', then: end } } ] }
      - next: { set: { passed: '${ .x }' } }
    """
    And given the workflow input is:
    """yaml
    x: 1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    passed: 1
    """

  Scenario: A switch passes its transformed input on
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: switch, version: '1.0.0' }
    do:
      - choose: { input: { from: .a }, switch: [ { yes: { when: '.b == 1', then: next } } ] }
      - next: { set: { got: '${ . }' } }
    """
    And given the workflow input is:
    """yaml
    a: { b: 1 }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    got: { b: 1 }
    """
