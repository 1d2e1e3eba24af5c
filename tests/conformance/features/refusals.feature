Feature: Refusals
  What is wrong with a definition is said before anything runs.

  Scenario Outline: A definition that cannot be right
    Given a workflow with definition:
    """yaml
    <document>
    """
    When the workflow is executed
    Then the definition should be refused
    And the refusal should mention '<word>'

    Examples:
      | why                          | word     | document                                                                                                                                           |
      | no tasks                     | do       | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' } }                                                                            |
      | no name                      | name     | { document: { dsl: '1.0.3', namespace: n, version: '1.0.0' }, do: [ { a: { set: { x: 1 } } } ] }                                                   |
      | a version that is none       | version  | { document: { dsl: '1.0.3', namespace: n, name: d, version: one }, do: [ { a: { set: { x: 1 } } } ] }                                              |
      | a name that is none          | name     | { document: { dsl: '1.0.3', namespace: n, name: 'A B', version: '1.0.0' }, do: [ { a: { set: { x: 1 } } } ] }                                      |
      | another language             | dsl      | { document: { dsl: '9.9.9', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { set: { x: 1 } } } ] }                                          |
      | an unknown field             | sett     | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { sett: { x: 1 } } } ] }                                         |
      | two kinds in one task        | wait     | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { set: { x: 1 }, wait: PT1S } } ] }                              |
      | two names in one item        | b        | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { set: { x: 1 } }, b: { set: { x: 1 } } } ] }                    |
      | the same name twice          | a        | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { set: { x: 1 } } }, { a: { set: { x: 1 } } } ] }                |
      | then to nowhere              | nowhere  | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { set: { x: 1 }, then: nowhere } } ] }                           |
      | then to another list         | inner    | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { set: { x: 1 }, then: inner } }, { b: { do: [ { inner: { set: { x: 1 } } } ] } } ] } |
      | two defaults of a switch     | default  | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { switch: [ { x: { then: end } }, { y: { then: end } } ] } } ] } |
      | an unknown retry             | nobody   | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { try: [ { b: { set: { x: 1 } } } ], catch: { retry: nobody } } } ] } |
      | an unknown timeout           | nobody   | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { set: { x: 1 }, timeout: nobody } } ] }                         |
      | an unknown error             | nobody   | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { raise: { error: nobody } } } ] }                               |
      | a duration that is none      | soon     | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { wait: soon } } ] }                                             |
      | an expression that is none   | jq       | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { set: { x: '${ .a \| }' } } } ] }                               |
      | half an expression           | partly   | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { set: { half: '${ .a' } } } ] }                                 |
      | a condition that is a number | if       | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { if: 5, set: { x: 1 } } } ] }                                   |
      | a schema that is none        | schema   | { document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }, do: [ { a: { set: { x: 1 }, output: { schema: { document: { type: nothing } } } } } ] } |
