Feature: Containers
  The images of these scenarios hold a `sh` with its usual tools. `say:1` starts `echo -n said` with `nothing` in the folder
  `/srv`, and sets `FROM_IMAGE` to `yes`; `plain` starts `echo -n plain`, and has no entry point.

  Scenario Outline: What runs, and what it is given
    Given the registry has the images of this kit
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: container, version: '1.0.0' }
    do:
      - it: { run: { container: { <container> }, return: stdout } }
    """
    And the workflow input is:
    """yaml
    { words: a b, name: one, script: 'echo no' }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    <output>
    """

    Examples:
      | what | container | output |
      | an image alone | image: 'images.test/say:1' | said nothing |
      | its tag is latest where none is named | image: images.test/plain | plain |
      | arguments instead of those of the image | image: 'images.test/say:1', arguments: [a, 'b c'] | said a b c |
      | arguments after a command of the image | image: images.test/plain, arguments: [a] | plain a |
      | a command instead of all that | image: 'images.test/say:1', command: 'printf %s $(pwd)' | /srv |
      | a command with arguments | image: 'images.test/say:1', command: printf, arguments: ['${ .words }'] | a b |
      | a script, and its arguments | image: 'images.test/say:1', command: 'printf "$2 $1"', arguments: [x, y] | y x |
      | standard input | image: 'images.test/say:1', command: cat, stdin: '${ .words }' | a b |
      | no standard input | image: 'images.test/say:1', command: cat | "" |
      | a variable of the image | image: 'images.test/say:1', command: 'printf "$FROM_IMAGE, "' | "yes, " |
      | a variable of the definition | image: 'images.test/say:1', command: 'printf "$FROM_IMAGE, "', environment: { FROM_IMAGE: '${ .name }' } | "one, " |
      | a name | image: 'images.test/say:1', command: 'printf "$(hostname)"', name: '${ "is-" + .name }' | is-one |
      | always asked for | image: 'images.test/say:1', pullPolicy: always | said nothing |
      | asked for where it is not present | image: 'images.test/say:1', pullPolicy: ifNotPresent | said nothing |
      | gone at once | image: 'images.test/say:1', lifetime: { cleanup: always } | said nothing |
      | gone some time | image: 'images.test/say:1', lifetime: { cleanup: eventually, after: PT1M } | said nothing |
      | never as root | image: 'images.test/say:1', command: 'test $(id -u) != 0 && printf nobody' | nobody |

  Scenario Outline: How it ended
    Given the registry has the images of this kit
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: container, version: '1.0.0' }
    do:
      - it: { run: { container: { image: images.test/plain, command: 'printf out; printf err >&2; exit <code>' }, return: <return> } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    <output>
    """

    Examples:
      | code | return | output |
      | 0 | stdout | out |
      | 0 | stderr | err |
      | 0 | none | null |
      | 3 | code | 3 |
      | 3 | all | { code: 3, stdout: out, stderr: err } |

  Scenario: A command that fails is an error that can be caught
    Given the registry has the images of this kit
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: container, version: '1.0.0' }
    do:
      - careful:
          try: [{ it: { run: { container: { image: images.test/plain, command: 'exit 4' } } } }]
          catch: { as: error, do: [{ note: { set: { status: '${ $error.status }' } } }] }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    { status: 500 }
    """

  Scenario: Containers of one instance share a workspace
    Given the registry has the images of this kit
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: container, version: '1.0.0' }
    do:
      - write: { run: { container: { image: 'images.test/say:1', command: 'printf kept > /workspace/note' } } }
      - read: { run: { container: { image: images.test/plain, command: cat, arguments: [/workspace/note] }, return: stdout } }
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    kept
    """

  Scenario: A container that takes too long is stopped
    Given the registry has the images of this kit
    And a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: container, version: '1.0.0' }
    do:
      - slow: { run: { container: { image: images.test/plain, command: sleep, arguments: ['60'] } }, timeout: { after: PT1S } }
    """
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { type: https://serverlessworkflow.io/spec/1.0.0/errors/timeout, status: 408 }
    """

  Scenario Outline: What is refused
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: default, name: container, version: '1.0.0' }
    do:
      - it: { run: { container: { <container> } } }
    """
    When the workflow is executed
    Then the definition should be refused
    And the refusal should mention '<what>'

    Examples:
      | container                                           | what             |
      | command: ls                                         | image            |
      | image: '${ .image }'                                | cannot be computed |
      | image: x, ports: { '80': 80 }                       | ports            |
      | image: x, volumes: { /a: /b }                       | volumes          |
      | image: x, pullPolicy: sometimes                     | pullPolicy       |
      | image: x, lifetime: { cleanup: never }              | cleanup          |
      | image: x, lifetime: { cleanup: eventually }         | after            |
      | image: x, lifetime: { cleanup: always, after: PT1M } | after           |
      | image: images.test/x, pullPolicy: never             | images.test/x    |
