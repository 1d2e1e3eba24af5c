@own
Feature: Ask
  What this product adds to the DSL: `ask` puts a question to a person and gives `{ value, decidedBy, … }`.

  Scenario: An approval that is given lets the flow go on
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: ask, version: '1.0.0' }
    do:
      - question: { ask: { prompt: 'Go on?' } }
      - after: { set: { answer: '${ .value }' } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    answer: approved
    """
    And question should complete

  Scenario Outline: Each mode has its answers
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: ask, version: '1.0.0' }
    do:
      - question: { ask: <ask> }
      - after: { set: { answer: '${ .value }' } }
    """
    And question is answered with '<wrong>'
    And question is answered with '<right>'
    When the workflow is executed
    Then the answer '<wrong>' to question should be refused
    And the workflow should complete with output:
    """yaml
    answer: <output>
    """
    And question should offer <offers>

    Examples:
      | mode                             | ask                                                                                                | wrong         | right        | output    | offers                  |
      | approval                         | { prompt: x, mode: approval }                                                                      | maybe         | approved     | approved  | 'approved', 'rejected'  |
      | none is approval                 | { prompt: x }                                                                                      | yes           | approved     | approved  | 'approved', 'rejected'  |
      | confirm                          | { prompt: x, mode: confirm }                                                                       | approved      | confirmed    | confirmed | 'confirmed', 'declined' |
      | choice                           | { prompt: x, mode: choice, options: [ { value: a }, { value: b } ] }                               | c             | b            | b         | 'a', 'b'                |
      | options are a choice             | { prompt: x, options: [ { label: The first, value: a, description: it comes first }, { value: b } ] } | The first  | a            | a         | 'a', 'b'                |
      | options from data                | { prompt: x, optionsFrom: '${ [ "v1", { value: "v2", label: "Version 2" } ] }' }                   | v3            | v2           | v2        | 'v1', 'v2'              |
      | named ones and some from data    | { prompt: x, options: [ { value: none } ], optionsFrom: '${ ["v1"] }' }                            | v3            | v1           | v1        | 'none', 'v1'            |
      | several of a choice              | { prompt: x, mode: multiChoice, options: [ { value: a }, { value: b }, { value: c } ] }            | ["a","d"]     | ["c","a"]    | [c, a]    | 'a', 'b', 'c'           |
      | none of several                  | { prompt: x, mode: multiChoice, options: [ { value: a } ] }                                        | []            | ["a"]        | [a]       | 'a'                     |
      | each of several only once        | { prompt: x, mode: multiChoice, options: [ { value: a } ] }                                        | ["a","a"]     | ["a"]        | [a]       | 'a'                     |
      | text                             | { prompt: x, mode: text }                                                                          |               | a text       | a text    | nothing                 |
      | text is no JSON                  | { prompt: x, mode: text }                                                                          |               | 7            | '7'       | nothing                 |
      | object                           | { prompt: x, mode: object, schema: { type: object, required: [n] } }                               | {"m":1}       | {"n":1}      | { n: 1 }  | nothing                 |
      | a schema is an object            | { prompt: x, schema: { type: integer, minimum: 3 } }                                               | 2             | 3            | 3         | nothing                 |
      | a schema under document          | { prompt: x, schema: { document: { type: boolean } } }                                             | 2             | true         | true      | nothing                 |
      | object that is no JSON           | { prompt: x, mode: object }                                                                        | {n}           | null         | null      | nothing                 |
      | a least length                   | { prompt: x, validate: { minLength: 2 } }                                                          | a             | ab           | ab        | nothing                 |
      | a most length                    | { prompt: x, mode: text, validate: { maxLength: 2 } }                                              | abc           | ab           | ab        | nothing                 |
      | a pattern                        | { prompt: x, mode: text, validate: { pattern: '^v[0-9]+$' } }                                      | 1             | v1           | v1        | nothing                 |
      | one of a list                    | { prompt: x, mode: text, validate: { enum: [red, blue] } }                                         | green         | blue         | blue      | nothing                 |
      | a schema that validates          | { prompt: x, mode: object, validate: { schema: { type: array, maxItems: 1 } } }                    | [1,2]         | [1]          | [1]       | nothing                 |

  Scenario: Prompt, subject and whom it is for are computed
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: ask, version: '1.0.0' }
    do:
      - question:
          ask:
            prompt: 'Publish ${ .version } now?'
            assignee: '${ .who }'
            subject: { files: '${ .files }', fixed: 1 }
      - named: { ask: { prompt: '${ "And \(.value)?" }', assignment: { assigneeId: ada, roleId: approver, categoryCode: release, reasonCode: '${ "late" }' } } }
      - role: { ask: { prompt: 'Third', assignment: { roleId: approver } } }
    """
    And given the workflow input is:
    """yaml
    { version: 1.2.0, who: grace, files: [a.jar] }
    """
    And question is answered with 'approved'
    And named is answered with 'approved'
    And role is answered with 'approved'
    When the workflow is executed
    Then the workflow should complete
    And question should ask 'Publish 1.2.0 now?'
    And question should be for 'grace'
    And question should show:
    """yaml
    { files: [a.jar], fixed: 1 }
    """
    And named should ask 'And approved?'
    And named should be for 'ada'
    And role should be for 'approver'

  Scenario Outline: Which answers let the flow go on
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: ask, version: '1.0.0' }
    do:
      - question: { ask: <ask> }
      - after: { set: { reached: true } }
    """
    And question is answered with '<answer>'
    When the workflow is executed
    Then the workflow should <end>
    And after should <after>

    Examples:
      | why                                  | ask                                                                                 | answer    | end      | after    |
      | yes to an approval                   | { prompt: x }                                                                       | approved  | complete | complete |
      | no to an approval                    | { prompt: x }                                                                       | rejected  | fault    | not run  |
      | no to a confirmation                 | { prompt: x, mode: confirm }                                                        | declined  | fault    | not run  |
      | every one of a choice                | { prompt: x, options: [ { value: a }, { value: b } ] }                              | b         | complete | complete |
      | what proceedOn names                 | { prompt: x, options: [ { value: a }, { value: b } ], proceedOn: [a] }              | a         | complete | complete |
      | what proceedOn does not name         | { prompt: x, options: [ { value: a }, { value: b } ], proceedOn: [a] }              | b         | fault    | not run  |
      | both answers to an approval          | { prompt: x, proceedOn: [approved, rejected] }                                      | rejected  | complete | complete |

  Scenario: A rejection is an authorization error, and can be caught
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: ask, version: '1.0.0' }
    do:
      - guarded:
          try: [ { question: { ask: { prompt: x } } } ]
          catch:
            errors: { with: { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/authorization', status: 403 } }
            do: [ { handle: { set: { went: elsewhere } } } ]
    """
    And question is answered with 'rejected'
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    went: elsewhere
    """
    And question should fault with error:
    """yaml
    { status: 403, instance: /do/0/guarded/try/0/question }
    """

  Scenario: An answer that may not be tried again faults when it does not conform
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: ask, version: '1.0.0' }
    do:
      - question: { ask: { prompt: x, mode: text, validate: { maxLength: 1 }, retryOnInvalid: false } }
    """
    And question is answered with 'long'
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/validation', status: 400, instance: /do/0/question }
    """

  Scenario Outline: An answer that may be left out
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: ask, version: '1.0.0' }
    do:
      - question: { ask: <ask> }
      - after: { set: { answer: '${ .value }' } }
    """
    And question is answered with ''
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    answer: <output>
    """

    Examples:
      | why                     | ask                                                              | output   |
      | a text and its default  | { prompt: x, mode: text, required: false, default: none }        | none     |
      | a text without          | { prompt: x, mode: text, required: false }                       | null     |
      | an object's default     | { prompt: x, mode: object, required: false, default: { n: 1 } }  | { n: 1 } |

  Scenario Outline: Nobody answers in time
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: ask, version: '1.0.0' }
    do:
      - question: { ask: <ask> }
      - after: { set: { answer: '${ .value }', by: '${ .decidedBy | type }' } }
    """
    And nobody answers
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { answer: <output>, by: string }
    """
    And question should run before after

    Examples:
      | why                          | ask                                                                                                                       | output   |
      | a choice and its default     | { prompt: x, mode: confirm, default: confirmed, timeout: { after: PT0.05S }, onTimeout: { action: default } }              | confirmed |
      | a default of the timeout     | { prompt: x, mode: text, timeout: { after: { milliseconds: 50 } }, onTimeout: { action: default, default: later } }       | later    |
      | an object                    | { prompt: x, mode: object, default: { n: 2 }, timeout: { after: PT0.05S }, onTimeout: { action: default } }                | { n: 2 } |
      | several                      | { prompt: x, mode: multiChoice, options: [ { value: a } ], default: [a], timeout: { after: PT0.05S }, onTimeout: { action: default } } | [a] |

  Scenario Outline: Nobody answers, and that is an error
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: ask, version: '1.0.0' }
    do:
      - question: { ask: <ask> }
    """
    And nobody answers
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/<type>', status: <status>, instance: /do/0/question }
    """

    Examples:
      | why                                  | ask                                                                                                            | type          | status |
      | without onTimeout                    | { prompt: x, timeout: { after: PT0.05S } }                                                                     | timeout       | 408    |
      | with the action that says so         | { prompt: x, timeout: { after: PT0.05S }, onTimeout: { action: fault } }                                       | timeout       | 408    |
      | a default that does not go on        | { prompt: x, default: rejected, timeout: { after: PT0.05S }, onTimeout: { action: default } }                  | authorization | 403    |

  Scenario: The timeout of the task counts, too
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: ask, version: '1.0.0' }
    do:
      - question: { ask: { prompt: x, timeout: { after: PT1H } }, timeout: { after: PT0.05S } }
    """
    And nobody answers
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/timeout', status: 408, instance: /do/0/question }
    """

  Scenario: Questions side by side are answered each for itself
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: ask, version: '1.0.0' }
    do:
      - both:
          fork:
            branches:
              - left: { ask: { prompt: Left, mode: text } }
              - right: { ask: { prompt: Right, mode: text } }
      - after: { set: { answers: '${ [ .[].value ] }' } }
    """
    And left is answered with 'one'
    And right is answered with 'two'
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    answers: [one, two]
    """

  Scenario: The output of a question says who decided what
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: ask, version: '1.0.0' }
    do:
      - question: { ask: { prompt: x, subject: 1 } }
    """
    And question is answered with 'approved'
    When the workflow is executed
    Then the workflow should complete
    And the workflow output should have properties 'value', 'decidedBy', 'decidedAt', 'comment', 'subjectDigest'

  Scenario Outline: What is no question is refused
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: ask, version: '1.0.0' }
    do:
      - question: { ask: <ask> }
    """
    When the workflow is executed
    Then the definition should be refused
    And the refusal should mention '<what>'

    Examples:
      | why                           | ask                                                                       | what                       |
      | without a prompt              | { mode: text }                                                            | prompt                     |
      | an unknown mode               | { prompt: x, mode: shout }                                                | mode                       |
      | a file                        | { prompt: x, mode: file }                                                 | ask.mode: file             |
      | a secret                      | { prompt: x, mode: text, sensitive: true }                                | ask.sensitive              |
      | a choice without options      | { prompt: x, mode: choice }                                               | options                    |
      | two options of one value      | { prompt: x, options: [ { value: a }, { value: a } ] }                    | two options                |
      | a text with options           | { prompt: x, mode: text, options: [ { value: a } ] }                      | options                    |
      | a choice that may be left out | { prompt: x, mode: approval, required: false }                            | ask.required: false        |
      | a default that is no option   | { prompt: x, mode: confirm, default: maybe, timeout: { after: PT1H }, onTimeout: { action: default } } | maybe |
      | onTimeout without timeout     | { prompt: x, onTimeout: { action: fault } }                               | timeout                    |
      | an unknown action             | { prompt: x, timeout: { after: PT1H }, onTimeout: { action: shrug } }     | action                     |
      | proceedOn of a text           | { prompt: x, mode: text, proceedOn: [a] }                                 | proceedOn                  |
      | proceedOn of no option        | { prompt: x, proceedOn: [maybe] }                                         | maybe                      |
      | two people                    | { prompt: x, assignee: ada, assignment: { assigneeId: grace } }           | assignee                   |
