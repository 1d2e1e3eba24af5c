@own
Feature: Assert
  What this product adds to the DSL: `assert` lets the flow go on, with its input as its output, or faults with `validation`.

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

  Scenario Outline: Schemas and paths
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: assert, version: '1.0.0' }
    do:
      - check: { assert: { value: '${ . }', <checks> } }
    """
    And given the workflow input is:
    """yaml
    { status: done, n: 7, list: [ { name: a }, { name: b } ], text: abc, object: { k: v, l: w } }
    """
    When the workflow is executed
    Then the workflow should <end>

    Examples:
      | why                              | checks                                                                        | end      |
      | a schema that holds              | schema: { type: object, required: [n] }                                       | complete |
      | a schema that does not           | schema: { type: object, required: [m] }                                       | fault    |
      | a schema under document          | schema: { document: { required: [m] } }                                       | fault    |
      | a path and its value             | json: { $.status: done }                                                      | complete |
      | a path and another value         | json: { $.status: failed }                                                    | fault    |
      | a path without $                 | json: { .object.k: v }                                                        | complete |
      | a path into a list               | json: { 'list[1].name': b }                                                   | complete |
      | several paths, one does not hold | json: { $.status: done, $.n: 8 }                                              | fault    |
      | equals at a path                 | json: { $.n: { equals: 7 } }                                                  | complete |
      | contains at a path               | json: { $.text: { contains: bc } }                                            | complete |
      | contains, and it does not        | json: { $.text: { contains: x } }                                             | fault    |
      | matches at a path                | json: { $.text: { matches: '^a' } }                                           | complete |
      | exists at a path                 | json: { $.missing: { exists: false } }                                        | complete |
      | exists, and it does not          | json: { $.missing: { exists: true } }                                         | fault    |
      | more than                        | json: { $.list: { hasLength: { gt: 1 } } }                                    | complete |
      | more than, and it is as long     | json: { $.list: { hasLength: { gt: 2 } } }                                    | fault    |
      | at least                         | json: { $.list: { hasLength: { gte: 2 } } }                                   | complete |
      | less than                        | json: { $.text: { hasLength: { lt: 3 } } }                                    | fault    |
      | at most                          | json: { $.object: { hasLength: { lte: 2 } } }                                 | complete |
      | both bounds                      | json: { $.list: { hasLength: { gte: 1, lte: 3 } } }                           | complete |
      | what has no length               | json: { $.n: { hasLength: { gte: 0 } } }                                      | fault    |
      | two checks, both hold            | contains: { n: 7 }, schema: { type: object }                                  | complete |
      | two checks, one does not         | contains: { n: 7 }, schema: { type: array }                                   | fault    |
      | an expected value is computed    | equals: '${ $input }'                                                         | complete |

  Scenario: The message is computed, and is the detail of the error
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: assert, version: '1.0.0' }
    do:
      - check: { assert: { value: '${ .n }', equals: 8, message: 'there are ${ .n } of them' } }
    """
    And given the workflow input is:
    """yaml
    n: 7
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { status: 400, detail: there are 7 of them }
    """

  Scenario: An assert that holds gives its input
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: assert, version: '1.0.0' }
    do:
      - check: { assert: { value: '${ .n }', equals: 7, message: 'this is not said' } }
    """
    And given the workflow input is:
    """yaml
    n: 7
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    n: 7
    """

  Scenario: Rules are refused
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: assert, version: '1.0.0' }
    do:
      - check: { assert: { value: 1, rule: { ruleId: x } } }
    """
    When the workflow is executed
    Then the definition should be refused
    And the refusal should mention 'assert.rule'
