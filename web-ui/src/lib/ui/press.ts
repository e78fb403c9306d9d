/** Lines of a list that moves: a click that begins on one and ends on another would be nobody's. */

import type { MouseEvent } from 'react';

/** Acts at once when the main button goes down; fingers' taps count as that too. */
export function onPress(act: () => void): (event: MouseEvent) => void {
  return ({ button }) => {
    if (button === 0) act();
  };
}
