import { fireEvent, render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { describe, expect, it, vi } from 'vitest';

import { fromSlider, SimulationControls, toSlider } from '@/features/simulation/SimulationControls';
import type { Scenario } from '@/lib/types';
import { running, stopped } from '@/test/gateway';

const calls = () => ({ onStart: vi.fn(), onStop: vi.fn(), onRateChange: vi.fn() });

describe('SimulationControls', () => {
  it('TestRender_Initial: shows every control, stopped, with nothing produced', () => {
    render(<SimulationControls {...calls()} status={stopped} />);
    expect(screen.getByRole('button', { name: 'Start' })).toBeEnabled();
    expect(screen.getByRole('slider', { name: 'Events per second' })).toBeInTheDocument();
    expect(screen.getByLabelText('Duration (seconds)')).toHaveValue(60);
    expect(screen.getByLabelText('Scenario')).toHaveValue('default');
    expect(screen.getByTestId('simulation-status')).toHaveTextContent('stopped');
    expect(screen.getByTestId('events-produced')).toHaveTextContent('0');
  });

  it('TestStart_CallsOnStart: with what was chosen', async () => {
    const props = calls();
    render(<SimulationControls {...props} status={stopped} />);
    const user = userEvent.setup();
    await user.clear(screen.getByLabelText('Exact rate'));
    await user.type(screen.getByLabelText('Exact rate'), '25');
    await user.clear(screen.getByLabelText('Duration (seconds)'));
    await user.type(screen.getByLabelText('Duration (seconds)'), '30');
    await user.click(screen.getByRole('button', { name: 'Start' }));
    expect(props.onStart).toHaveBeenCalledExactlyOnceWith({ scenario: 'default', rate: 25, duration: 30 });
  });

  it('TestStop_CallsOnStop: of a running simulation', async () => {
    const props = calls();
    render(<SimulationControls {...props} status={running} />);
    expect(screen.getByTestId('simulation-status')).toHaveTextContent('running');
    expect(screen.getByTestId('events-produced')).toHaveTextContent('1,234');
    await userEvent.click(screen.getByRole('button', { name: 'Stop' }));
    expect(props.onStop).toHaveBeenCalledOnce();
  });

  it('TestSlider_UpdatesRate: of the next start, and of one that runs', async () => {
    const props = calls();
    const { rerender } = render(<SimulationControls {...props} status={stopped} />);
    const slide = (rate: number) => fireEvent.change(screen.getByRole('slider'), { target: { value: String(toSlider(rate, 1000)) } });
    slide(100);
    expect(screen.getByLabelText('Exact rate')).toHaveValue(100);
    expect(props.onRateChange).not.toHaveBeenCalled();

    rerender(<SimulationControls {...props} status={running} />);
    expect(screen.getByLabelText('Exact rate')).toHaveValue(10);
    slide(50);
    await waitFor(() => {
      expect(props.onRateChange).toHaveBeenCalledExactlyOnceWith(50);
    });
    expect(screen.getByLabelText('Exact rate')).toHaveValue(50);
  });

  it('refuses values outside the limits and says which are inside', async () => {
    const props = calls();
    render(<SimulationControls {...props} status={stopped} maxRate={500} />);
    const user = userEvent.setup();
    await user.clear(screen.getByLabelText('Exact rate'));
    await user.type(screen.getByLabelText('Exact rate'), '501');
    expect(screen.getByText('Between 0.1 and 500 events per second.')).toBeInTheDocument();
    expect(screen.getByRole('button', { name: 'Start' })).toBeDisabled();
    await user.clear(screen.getByLabelText('Exact rate'));
    await user.type(screen.getByLabelText('Exact rate'), '5{Enter}');
    expect(props.onStart).toHaveBeenCalledOnce();
    await user.clear(screen.getByLabelText('Duration (seconds)'));
    await user.type(screen.getByLabelText('Duration (seconds)'), '-1');
    expect(screen.getByText(/^Between 0 and/)).toBeInTheDocument();
    expect(screen.getByRole('button', { name: 'Start' })).toBeDisabled();
  });

  it('takes rate and duration from the chosen scenario', async () => {
    const burst = { name: 'burst', description: { en: 'All at once.', fr: 'Tout à la fois.' }, rate: 200, duration: 5 } as Scenario;
    const props = calls();
    render(<SimulationControls {...props} status={stopped} scenarios={[burst]} />);
    await userEvent.selectOptions(screen.getByLabelText('Scenario'), 'burst');
    expect(screen.getByText('All at once.')).toBeInTheDocument();
    await userEvent.click(screen.getByRole('button', { name: 'Start' }));
    expect(props.onStart).toHaveBeenCalledExactlyOnceWith({ scenario: 'burst', rate: 200, duration: 5 });
  });

  it('has a slider on which every rate is its own inverse', () => {
    for (const rate of [1, 2, 5, 10, 50, 100, 400, 1000]) expect(Math.abs(fromSlider(toSlider(rate, 1000), 1000) / rate - 1)).toBeLessThan(0.06);
  });
});
