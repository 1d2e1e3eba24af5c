@own
Feature: Ask and assert
  What this product adds to the DSL. The runtime answers approvals with yes.

  Scenario: An approval that is given lets the flow go on
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: people, version: '1.0.0' }
    do:
      - question: { ask: { prompt: 'Go on?' } }
      - after: { set: { answer: '${ .value }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    answer: approved
    """

  Scenario Outline: What an assert demands, and gets
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: people, version: '1.0.0' }
    do:
      - check: { assert: <assert> }
    """
    And given the workflow input is:
    """yaml
    { n: 7, text: abc, list: [a, b], object: { k: v }, no: false }
    """
    When the workflow is executed
    Then the workflow should complete
    And check should complete

    Examples:
      | why             | assert                                          |
      | it holds        | { value: '${ .n == 7 }' }                       |
      | equals          | { value: '${ .n }', equals: 7 }                 |
      | equals deeply   | { value: '${ .object }', equals: { k: v } }     |
      | contains text   | { value: '${ .text }', contains: b }            |
      | contains item   | { value: '${ .list }', contains: b }            |
      | matches         | { value: '${ .text }', matches: '^a.c$' }       |
      | exists          | { value: '${ .text }', exists: true }           |
      | does not exist  | { value: '${ .missing }', exists: false }       |

  Scenario Outline: What does not hold is a validation error
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: people, version: '1.0.0' }
    do:
      - check: { assert: <assert> }
    """
    And given the workflow input is:
    """yaml
    { n: 7, text: abc, list: [a, b], no: false }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/validation', status: 400, instance: /do/0/check }
    """

    Examples:
      | why             | assert                                          |
      | it is false     | { value: '${ .no }' }                           |
      | it is null      | { value: '${ .missing }' }                      |
      | equals          | { value: '${ .n }', equals: 8 }                 |
      | contains        | { value: '${ .list }', contains: c }            |
      | matches         | { value: '${ .text }', matches: '^b' }          |
      | exists          | { value: '${ .missing }', exists: true }        |
