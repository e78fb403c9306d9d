/** A view that fails takes only itself down, says so, and can be tried again. */

import { Component, type ReactNode } from 'react';

import { translate } from '@/lib/i18n';
import { useRoute } from '@/lib/router';
import { Button } from '@/lib/ui/controls';

interface State {
  error: Error | null;
}

export class ErrorBoundary extends Component<{ children: ReactNode }, State> {
  state: State = { error: null };
  private unsubscribe: (() => void) | undefined;

  static getDerivedStateFromError(error: Error): State {
    return { error };
  }

  componentDidMount(): void {
    // Another view is another try.
    this.unsubscribe = useRoute.subscribe(() => {
      this.setState({ error: null });
    });
  }

  componentWillUnmount(): void {
    this.unsubscribe?.();
  }

  render(): ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    const language = document.documentElement.lang === 'fr' ? 'fr' : 'en';
    return (
      <div role="alert" className="space-y-2 p-6">
        <p className="font-medium">{translate(language, 'crash.title')}</p>
        <p className="font-mono text-xs text-ink-2">{error.message}</p>
        <Button
          onClick={() => {
            this.setState({ error: null });
          }}
        >
          {translate(language, 'state.retry')}
        </Button>
      </div>
    );
  }
}
